"""Hostile objects stop nobody else: nothing restarts, nothing stalls, each is named.

FUZZ_OBJECTS says how many are thrown (`make fuzz`: 10,000); the seed is fixed.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from tests.support.hostile import Hostile, Target, hostile_objects, nested

OBJECTS = int(os.environ.get("FUZZ_OBJECTS", "500"))
SEED = 20261125
THREADS = 4
EDIT_EVERY = 100  # hostile objects between two edits of the healthy schedule
BOMB = "{{[" + "x," * 131_000 + "x]}}"


class Poster:
    """Raw JSON text to the API server: what is nested deeply is read by nobody here."""

    def __init__(self, plane: ControlPlane) -> None:
        self._host = urlsplit(plane.api.host).netloc
        self._tls = plane.api.tls

    def send(self, method: str, path: str, text: str, kind: str = "application/json") -> int:
        connection = http.client.HTTPSConnection(self._host, context=self._tls, timeout=60)
        try:
            connection.request(method, path, text.encode(), {"Content-Type": kind})
            with connection.getresponse() as answer:
                answer.read()
                return answer.status
        finally:
            connection.close()


@pytest.fixture
def evil(plane: ControlPlane) -> Iterator[Namespace]:
    """The namespace of another team."""
    name = f"evil-{uuid.uuid4().hex[:8]}"
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
    yield Namespace(plane, name)
    plane.api.call("DELETE", f"{CORE}/namespaces/{name}")


@pytest.fixture
def watching(
    make_operator: Callable[..., OperatorProcess], namespace: Namespace, evil: Namespace
) -> OperatorProcess:
    """An operator for both teams; its places are no matter here."""
    operator = make_operator(
        watchNamespaces=[namespace.name, evil.name],
        admission={"maxActive": 100_000},
        leaseSeconds=60,  # on a busy machine
    )
    operator.start()
    operator.wait_until_leading()
    return operator


def target_of(namespace: Namespace, name: str) -> Target:
    """A schedule with a CronJob and a run that waits."""
    namespace.apply(name, concurrencyPolicy="Allow")
    namespace.wait_until_observed(name, 120)
    namespace.start(name, f"{name}-run")
    cronjob = namespace.cronjob(name)
    assert cronjob is not None
    (job,) = (job for job in namespace.jobs() if job["metadata"]["name"] == f"{name}-run")
    return Target(
        namespace.name,
        name,
        namespace.schedule(name)["metadata"]["uid"],
        cronjob["metadata"]["uid"],
        job["metadata"]["uid"],
    )


def edit(
    namespace: Namespace, operator: OperatorProcess, name: str, number: int, seconds: float = 120
) -> float:
    """Seconds until an edit has come to the CronJob."""
    schedule = f"{number % 60} {number // 60 % 24} 1 1 *"
    path = namespace.path(SCHEDULES, "reportschedules", name)
    began = time.monotonic()
    namespace.call("PATCH", path, {"spec": {"schedule": schedule}}, MERGE)
    wait_for(
        f"edit {number} of {name}",
        lambda: (found := namespace.cronjob(name)) and found["spec"]["schedule"] == schedule,
        seconds,
        lambda: namespace.status(name),
    )
    return time.monotonic() - began


def skipped(operator: OperatorProcess) -> set[tuple[str, str, str]]:
    """Kind, namespace and name of what the log names."""
    text = operator.log_file.read_text()
    return set(re.findall(r"skipped: (\w+) ([^ /]+)/([^ :]+):", text))


def has_to_be_named(item: Hostile) -> bool:
    """Whether the operator is told of it, and it is not what it says."""
    if item.plural not in ("jobs", "cronjobs", "pods"):
        return False
    body = json.loads(item.text)
    meta = body["metadata"]
    if item.plural == "jobs":
        # Nobody can tell of one with the right owner without deciding as the operator does.
        return not any(owner.get("controller") for owner in meta["ownerReferences"])
    if item.plural == "cronjobs":
        schedule: str = meta["annotations"][names.ANNOTATION_SCHEDULE]
        return bool(names.cronjob_name(schedule) != item.name)
    if item.plural == "pods":
        return not any(owner.get("controller") for owner in meta["ownerReferences"])
    return False


def test_hostile_objects(
    plane: ControlPlane, namespace: Namespace, evil: Namespace, watching: OperatorProcess
) -> None:
    poster = Poster(plane)
    bomb = {"metadata": {"name": "bomb"}, "data": {"bomb": BOMB}}
    evil.call("POST", evil.path(CORE, "configmaps"), bomb)
    targets = [target_of(namespace, "daily"), target_of(evil, "own")]
    pid = watching.pid
    accepted: list[Hostile] = []
    shapes: Counter[str] = Counter()

    def throw(item: Hostile) -> tuple[Hostile, int]:
        code = poster.send("POST", item.path, item.text)
        if code == 201 and item.status:
            path = f"{item.path}/{item.name}/status"
            text = f'{{"status":{item.status}}}'
            poster.send("PATCH", path, text, MERGE)
        return item, code

    latencies: list[float] = []
    began = time.monotonic()
    items = list(hostile_objects(SEED, OBJECTS, evil.name, targets))
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, OBJECTS, EDIT_EVERY):
            thrown = pool.map(throw, items[start : start + EDIT_EVERY])
            latencies.append(edit(namespace, watching, "daily", start // EDIT_EVERY + 1))
            for item, code in thrown:
                shapes[f"{item.plural} {code}"] += 1
                if code == 201:
                    accepted.append(item)
            assert watching.exit_code is None, watching.log()
    thrown_in = time.monotonic() - began
    assert accepted
    latencies.append(edit(namespace, watching, "daily", OBJECTS // EDIT_EVERY + 2))
    wait_for("a resync", lambda: watching.health().get("resyncs"), 300, watching.log)
    enough = watching.health()["resyncs"] + 3
    wait_for("resyncs", lambda: watching.health().get("resyncs", 0) >= enough, 900, watching.log)

    # Each is named, unless the garbage collector took it for what it says of its owner.
    expected = {(item.plural, evil.name, item.name) for item in accepted if has_to_be_named(item)}
    assert expected

    def unnamed() -> list[tuple[str, str, str]]:
        prefixes = {"pods": CORE}
        return [
            (kind, space, name)
            for kind, space, name in sorted(expected - skipped(watching))
            if evil.find(prefixes.get(kind, BATCH), kind, name) is not None
        ]

    wait_for("each is named", lambda: not unnamed(), 300, unnamed)
    health = watching.health()
    assert sum(health["skipped"].values()) > 0
    assert health["skippedNewest"]
    reasons = {event["reason"] for event in evil.list(CORE, "events")}
    assert "Skipped" in reasons

    # No schedule is left without a word.
    def silent() -> list[str]:
        return [
            item.name
            for item in accepted
            if item.plural == "reportschedules" and not said(poster, plane, evil, item.name)
        ]

    wait_for("every schedule has a status", lambda: not silent(), 300, silent)

    # The neighbour's run is let in.
    namespace.start("daily", "last-run")
    wait_for(
        "the neighbour's run starts",
        lambda: (job := namespace.find(BATCH, "jobs", "last-run")) and not job["spec"]["suspend"],
        120,
        watching.log,
    )
    assert namespace.condition("daily", "Ready")["status"] == "True"
    assert watching.pid == pid
    assert watching.exit_code is None
    memory = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    print(
        f"\n{OBJECTS} objects in {thrown_in:.0f} s, {len(accepted)} taken in; edits of the "
        f"neighbour took at most {max(latencies):.1f} s (median "
        f"{sorted(latencies)[len(latencies) // 2]:.1f} s); skipped now {health['skipped']}; "
        f"peak memory {int(memory) // 1024} MiB; {dict(sorted(shapes.items()))}"
    )


def said(poster: Poster, plane: ControlPlane, evil: Namespace, name: str) -> bool:
    """Whether a schedule has the condition Ready, read without reading its spec."""
    path = evil.path(SCHEDULES, "reportschedules", name)
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    connection = http.client.HTTPSConnection(
        urlsplit(plane.api.host).netloc, context=plane.api.tls, timeout=60
    )
    try:
        connection.request("GET", f"{path}?includeObject=None", headers={"Accept": table})
        with connection.getresponse() as answer:
            found: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    columns = [column["name"] for column in found["columnDefinitions"]]
    return found["rows"][0]["cells"][columns.index("Ready")] in ("True", "False")


@pytest.mark.parametrize("levels", [33, 254, 450, 900, 1100, 5000])
def test_a_deep_chart_is_named_on_its_schedule(
    plane: ControlPlane,
    namespace: Namespace,
    evil: Namespace,
    watching: OperatorProcess,
    levels: int,
) -> None:
    deep = nested(levels, lists=False)
    body = json.dumps(
        {
            "apiVersion": "reports.adaf.io/v1alpha1",
            "kind": "ReportSchedule",
            "metadata": {"name": "deep"},
            "spec": {
                "reportType": "deep",
                "schedule": "0 6 1 1 *",
                "report": {
                    "title": "t",
                    "sources": [{"name": "a", "inline": {"rows": [{"x": 1}]}}],
                    "charts": [{"name": "c", "source": "a", "spec": {"x": "DEEP"}}],
                    "template": {"builtin": "executive_dashboard"},
                },
            },
        }
    ).replace('"DEEP"', deep)
    assert Poster(plane).send("POST", evil.path(SCHEDULES, "reportschedules"), body) == 201
    wait_for(
        "an Event names the field",
        lambda: [
            event["message"]
            for event in evil.list(CORE, "events")
            if event["reason"] == "InvalidSpec"
            and event["message"].startswith("spec.report.charts[c].spec.")
            and "nested deeper than 32 levels" in event["message"]
        ],
        120,
        watching.log,
    )
    assert said(Poster(plane), plane, evil, "deep")
    target_of(namespace, "daily")
    assert watching.exit_code is None


def test_a_template_bomb_is_named_and_keeps_nobody_waiting(
    namespace: Namespace, evil: Namespace, watching: OperatorProcess
) -> None:
    bomb = {"metadata": {"name": "bomb"}, "data": {"bomb.html.j2": BOMB}}
    evil.call("POST", evil.path(CORE, "configmaps"), bomb)
    template = {"configMapRef": {"name": "bomb", "key": "bomb.html.j2"}}
    report = {
        "title": "bomb",
        "sources": [{"name": "a", "inline": {"rows": [{"x": 1}]}}],
        "template": template,
        "formats": ["html"],
    }
    for number in range(3):
        evil.apply(f"bomb-{number}", report=report)
    right = {"metadata": {"name": "page"}, "data": {"bomb.html.j2": "<h1>{{ title }}</h1>"}}
    namespace.call("POST", namespace.path(CORE, "configmaps"), right)
    template = {"configMapRef": {"name": "page", "key": "bomb.html.j2"}}
    namespace.apply("daily", report={**report, "template": template})
    namespace.wait_for_ready("daily", "Ready")
    told = evil.wait_for_ready("bomb-0", "TemplateTooLarge")
    assert "bomb/bomb.html.j2 line 1: more than 20000" in told["message"]
    assert watching.exit_code is None
    peak = Path(f"/proc/{watching.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) < 400 * 1024
