"""Why pods do not become ready, as a person would look it up: pods, events, last words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

EVENTS = 12
LOG_LINES = 15


def trouble(namespace: str) -> str:
    """The namespace's pods, its newest events, and the logs of containers that are not ready."""
    parts = [_kubectl(namespace, "get", "pods", "-o", "wide")]
    parts += _events(json.loads(_kubectl(namespace, "get", "events", "-o", "json") or "{}"))
    pods = json.loads(_kubectl(namespace, "get", "pods", "-o", "json") or "{}")
    for pod, container, previous in not_ready(pods):
        of = ["--previous"] if previous else []
        log = _kubectl(namespace, "logs", pod, "-c", container, f"--tail={LOG_LINES}", *of)
        parts.append(f"the last words of {pod}, container {container}:\n{log.strip() or '(none)'}")
    return "\n\n".join(part.strip() for part in parts)


def not_ready(pods: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Pod, container, and whether its log is that of the run before: it has crashed and waits.

    Containers that never started are left out: they have no log, and an event says why.
    """
    for pod in pods.get("items", ()):
        for status in pod["status"].get("containerStatuses", ()):
            started = status["restartCount"] or not status["state"].get("waiting")
            if started and not status["ready"]:
                yield pod["metadata"]["name"], status["name"], "waiting" in status["state"]


def _events(listed: dict[str, Any]) -> list[str]:
    """The newest ones, oldest first, in one part; none where there are none."""
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
    """What it prints; nothing where it fails, since this is the telling of another failure."""
    command = ["kubectl", "-n", namespace, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
