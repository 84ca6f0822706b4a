"""The queue as the admin API shows it: order, position, what holds each back, likely start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from factories import (
    MINUTE,
    SLOT,
    active_run,
    make_entry,
    make_pod,
    make_run,
    schedule_body,
)
from snapshots import snapshot_of

from admin_api.app import make_app
from admin_api.schemas.status import Check
from admin_api.services.attempts import AttemptService
from admin_api.services.backends import Backends
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.jobs import read_schedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.admission.limits import AdmissionLimits, NamespacePolicy
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from tests.support.asgi import ask

NOW = SLOT + 2 * MINUTE
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient memory."


@dataclass
class Site:
    """The API over a cluster of these runs, two of which may be active, one of each namespace."""

    runs: Sequence[Run]
    limits: AdmissionLimits = field(
        default_factory=lambda: AdmissionLimits(2, policy=NamespacePolicy(1))
    )

    def get(self, path: str, accept: str = "application/json") -> Any:
        attempts = AttemptService(
            cast(Cluster, self), cast(Any, None), cast(Any, None), lambda: NOW
        )
        app = make_app(
            attempts, cast(Backends, self), cast(Any, None), cast(Any, None), None,
            limits=self.limits, start_grace=MINUTE,
        )  # fmt: skip
        reply = ask(app, "GET", path, accept=accept)
        assert reply.status == 200, reply.text
        return json.loads(reply.text) if accept == "application/json" else reply.text

    async def leader(self) -> Leader:
        return Leader("a", "u", SLOT, SLOT, 15, 1.0, stopping=False)

    async def checks(self) -> list[Check]:
        return []

    async def snapshot(self) -> Snapshot:
        schedules = []
        for run in self.runs:
            ended = make_entry(f"old-{run.uid}", run_seconds=200, pending_seconds=40)
            status = ReportScheduleStatus(recent_runs=[ended]).to_wire()
            body = schedule_body(
                {"reportType": f"type-{run.uid}"},
                name=run.schedule, namespace=run.namespace, uid=run.schedule_uid,
            )  # fmt: skip
            schedules.append(read_schedule({**body, "status": status}))
        return snapshot_of(schedules, self.runs)

    async def pods_of(self, run: Run) -> list[Pod]:
        return [make_pod(phase="Pending", started_at=None, unschedulable=UNSCHEDULABLE)]


def run_of(kind: Any, name: str, namespace: str, **changes: Any) -> Run:
    run: Run = kind(name=name, uid=name, schedule=name, schedule_uid=f"uid-{name}",
                    namespace=namespace, **changes)  # fmt: skip
    return run


RUNS = (
    run_of(active_run, "works", "a", ready_pods=1),
    run_of(make_run, "first", "a", slot=SLOT - MINUTE, priority="low"),
    run_of(make_run, "urgent", "a", slot=SLOT + MINUTE, priority="high"),
    run_of(active_run, "other", "b", ready_pods=1),
    run_of(make_run, "third", "c"),
)


def test_queue_has_order_reasons_and_likely_starts() -> None:
    body = Site(RUNS).get("/api/admin/scheduler/queue")
    assert [
        (e["position"], e["report_type"], e["hold"], e["waits_for"], e["likely_start"])
        for e in body.pop("queue")
    ] == [
        (
            1, "type-urgent", "NamespaceLimit", "1 of 1 places of namespace a are taken",
            "2026-11-24T05:04:00Z",
        ),
        (2, "type-third", "OverallLimit", "2 of 2 places are taken", "2026-11-24T05:04:00Z"),
        (
            3, "type-first", "NamespaceLimit", "1 of 1 places of namespace a are taken",
            "2026-11-24T05:08:00Z",
        ),
    ]  # fmt: skip
    assert body == {
        "total": 3, "places": 2, "places_taken": 2, "not_starting": {}, "next": None,
    }  # fmt: skip


def test_queue_pagination() -> None:
    site = Site(RUNS)
    first = site.get("/api/admin/scheduler/queue?limit=2")
    assert ([e["position"] for e in first["queue"]], first["next"]) == ([1, 2], 2)
    rest = site.get("/api/admin/scheduler/queue?limit=2&after=2")
    assert ([e["position"] for e in rest["queue"]], rest["next"]) == ([3], None)
    assert site.get("/api/admin/scheduler/queue?after=9")["queue"] == []


def test_page_shows_the_order_and_reasons_of_the_api() -> None:
    text = Site(RUNS).get("/fragments/now", "text/html")
    section = text[text.index('id="queue"') :]
    assert section.index("type-urgent") < section.index("type-third") < section.index("type-first")
    assert "1 of 1 places of namespace a are taken" in section


def test_disallowed_priority_is_noted() -> None:
    limits = AdmissionLimits(1, policy=NamespacePolicy(highest_priority="normal"))
    entry = next(
        e for e in Site(RUNS, limits).get("/api/admin/scheduler/queue")["queue"]
        if e["report_type"] == "type-urgent"
    )  # fmt: skip
    assert entry["priority"] == "normal"
    assert entry["note"] == "priority high is not allowed in a: normal counts"


@pytest.mark.parametrize("path", ["/api/admin/scheduler/status", "/fragments/now"])
def test_admitted_runs_that_do_not_start_degrade_the_status(path: str) -> None:
    hanging = [run_of(active_run, f"h{n}", "a", admitted_at=SLOT) for n in range(3)]
    site = Site([*hanging, run_of(make_run, "more", "a")], AdmissionLimits(3))
    told = site.get(path, "text/html" if path.startswith("/f") else "application/json")
    said = "; ".join(told["degraded"]) if isinstance(told, dict) else told
    assert (
        "admission: 0 of 3 places taken, 1 wait, and 3 admitted runs do not start (a 3), because "
        f"ResourceExhausted: no node takes the pod: {UNSCHEDULABLE}" in said
    )
    if isinstance(told, dict):
        assert told["status"] == "degraded"
    quiet = Site(RUNS).get("/api/admin/scheduler/status")
    assert not [line for line in quiet["degraded"] if "admission" in line]
