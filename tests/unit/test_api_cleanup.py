"""Which waiting runs a cleanup gives up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from factories import SLOT, active_run, make_run, schedule_body
from snapshots import snapshot_of

from admin_api.errors import RefusedError
from admin_api.schemas.queue import Cleanup, CleanupRequest
from admin_api.services.cache import Snapshot
from admin_api.services.cleanup import purge_queue
from admin_api.services.cleanup_rules import to_purge
from admin_api.services.jobs import read_schedule
from report_operator.adapters.kube.client import ApiError
from report_operator.domain.runs.run import Run

HOUR = timedelta(hours=1)
SCHEDULES = [
    read_schedule(schedule_body({"reportType": kind, "tier": tier}, name=kind, namespace=namespace,
                                uid=kind))
    for kind, tier, namespace in (("a", "critical", "one"), ("b", "bulk", "one"),
                                  ("c", "bulk", "two"))
]  # fmt: skip


def run(kind: str, tier: str, namespace: str, **changes: Any) -> Any:
    return make_run(name=f"run-{kind}", uid=f"run-{kind}", schedule=kind, schedule_uid=kind,
                    tier=tier, namespace=namespace, **changes)  # fmt: skip


RUNS = [
    run("a", "critical", "one"),
    run("b", "bulk", "one", created_at=SLOT - HOUR, backfill="fill"),
    run("c", "bulk", "two", created_at=SLOT + 2 * HOUR),
    active_run(name="works", uid="works"),
    make_run(name="going", uid="going", termination_reason="QueueTimeout"),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["run-b", "run-a"]),
        ({"older_than_hours": 0}, ["run-b", "run-a", "run-c"]),
        ({"tier": "bulk"}, ["run-b"]),
        ({"report_type": "a"}, ["run-a"]),
        ({"namespace": "two"}, []),
        ({"namespace": "two", "older_than_hours": 0}, ["run-c"]),
        ({"backfill": "fill"}, ["run-b"]),
        ({"backfill": "fill", "report_type": "a"}, []),
    ],
)
def test_filters(filters: dict[str, Any], names: list[str]) -> None:
    request = CleanupRequest.model_validate({"older_than_hours": 1, **filters})
    found = to_purge(request, RUNS, SCHEDULES, SLOT + 3 * HOUR)
    assert [item.name for item in found] == names


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"report_type": "aa"}, "known types: a, b, c"),
        ({"tier": "standard"}, "known tiers: bulk, critical"),
        ({"namespace": "three"}, "known namespaces: one, two"),
        ({"backfill": "other"}, "no run of a ReportBackfill other waits"),
    ],
)
def test_filter_that_names_nothing_is_refused(filters: dict[str, Any], said: str) -> None:
    request = CleanupRequest.model_validate({"older_than_hours": 0, **filters})
    with pytest.raises(RefusedError, match=said):
        to_purge(request, RUNS, SCHEDULES, SLOT + 3 * HOUR)


@dataclass
class Server:
    """In place of the API server: `meanwhile` comes between the first look and the writes."""

    runs: list[Run]
    meanwhile: Callable[[Server], None] | None = None
    written: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        return snapshot_of(SCHEDULES, self.runs)

    async def purge(self, run: Run, hours: float, requested_by: str) -> None:
        if self.meanwhile is not None:
            self.meanwhile(self)
            self.meanwhile = None
        now = next((known for known in self.runs if known.uid == run.uid), None)
        if now is None:
            raise ApiError(404, "NotFound", "not found")
        if now.resource_version != run.resource_version:
            raise ApiError(409, "Conflict", "the object has been modified")
        self.change(run.uid, termination_reason="QueueTimeout")
        self.written.append(run.name)

    async def record(self, action: Any, requested_by: str, target: str, _: Any) -> None:
        self.recorded.append(target)

    def change(self, uid: str, **changes: Any) -> None:
        self.runs = [replace(r, **changes) if r.uid == uid else r for r in self.runs]

    async def clean(self, **fields: Any) -> Cleanup:
        wanted = CleanupRequest.model_validate({"older_than_hours": 0, **fields})
        server = cast(Any, self)
        return await purge_queue(server, server, wanted, "kim", SLOT + 3 * HOUR)


def ids(*runs: Run) -> list[str]:
    return [run.identity.id for run in runs]


async def test_what_was_shown_is_what_is_given_up() -> None:
    first, second, third = RUNS[:3]
    server = Server([first, second])
    seen = await server.clean(dry_run=True)
    assert (sorted(seen.jobs), server.written) == (sorted(ids(first, second)), [])
    server.runs.append(third)  # comes while a person reads the list
    server.change(first.uid, suspended=False, admitted_at=SLOT, active_pods=1)
    done = await server.clean(ids=seen.jobs)
    assert (done.removed, done.jobs, server.written) == (1, ids(second), ["run-b"])
    assert [(left.id, left.status) for left in done.not_waiting] == [(ids(first)[0], "pending")]


async def test_run_admitted_between_look_and_write_is_named() -> None:
    run = RUNS[0]
    server = Server(
        [run], lambda s: s.change(run.uid, suspended=False, admitted_at=SLOT, resource_version="2")
    )
    done = await server.clean(ids=ids(run))
    assert (done.removed, server.recorded) == (0, [])
    assert [(left.id, left.status) for left in done.not_waiting] == [(ids(run)[0], "pending")]


async def test_run_that_is_gone_or_of_another_filter_is_named() -> None:
    run, other = RUNS[0], RUNS[1]
    server = Server([run, other], lambda s: s.runs.clear())
    done = await server.clean(ids=[*ids(run), "x"], namespace="one", backfill=None)
    assert [(left.id, left.status) for left in done.not_waiting] == [
        (ids(run)[0], "gone"), ("x", "gone")
    ]  # fmt: skip
    kept = await Server([other]).clean(ids=ids(other), report_type="a", backfill="none")
    assert [(left.id, left.status) for left in kept.not_waiting] == [(ids(other)[0], "queued")]


async def test_run_that_others_write_to_and_that_still_waits_is_given_up() -> None:
    run = RUNS[0]
    server = Server([run], lambda s: s.change(run.uid, priority="high", resource_version="2"))
    done = await server.clean()
    assert (done.jobs, done.not_waiting, server.written) == (ids(run), [], ["run-a"])
    assert server.recorded == ids(run)
