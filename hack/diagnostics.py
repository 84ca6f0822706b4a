"""Why pods do not become ready: pods, events and logs of a namespace, as kubectl shows them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

EVENTS = 12
LOG_LINES = 15


def describe_pods(namespace: str) -> str:
    """The namespace's pods, its newest events, and the logs of containers that are not ready."""
    parts = [_kubectl(namespace, "get", "pods", "-o", "wide")]
    parts += _events(json.loads(_kubectl(namespace, "get", "events", "-o", "json") or "{}"))
    pods = json.loads(_kubectl(namespace, "get", "pods", "-o", "json") or "{}")
    for pod, container, previous in not_ready(pods):
        of = ["--previous"] if previous else []
        log = _kubectl(namespace, "logs", pod, "-c", container, f"--tail={LOG_LINES}", *of)
        parts.append(f"log of {pod}, container {container}:\n{log.strip() or '(empty)'}")
    return "\n\n".join(part.strip() for part in parts)


def not_ready(pods: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Pod, container, and whether to read the log of its previous run: it crashed and waits.

    Containers that never started are left out: they have no log, and an event gives the reason.
    """
    for pod in pods.get("items", ()):
        for status in pod["status"].get("containerStatuses", ()):
            started = status["restartCount"] or not status["state"].get("waiting")
            if started and not status["ready"]:
                yield pod["metadata"]["name"], status["name"], "waiting" in status["state"]


def _events(listed: dict[str, Any]) -> list[str]:
    """The newest events in one part, oldest first; no part without events."""
    items = sorted(listed.get("items", ()), key=_when)[-EVENTS:]
    lines = [
        f"{_when(item)}  {item['type']}  {item['involvedObject']['kind']}"
        f"/{item['involvedObject']['name']}  {item['reason']}: {item['message'].strip()}"
        for item in items
    ]
    return ["\n".join(["the last events:", *lines])] if lines else []


def _when(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    created: str = event["metadata"]["creationTimestamp"]
    return (
        event.get("lastTimestamp")
        or series.get("lastObservedTime")
        or event.get("eventTime")
        or created
    )


def _kubectl(namespace: str, *arguments: str) -> str:
    """Standard output, empty where kubectl fails: another failure is being described."""
    command = ["kubectl", "-n", namespace, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
