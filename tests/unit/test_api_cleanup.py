"""Which waiting runs a cleanup gives up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import SLOT, active_run, make_run, schedule_body

from admin_api.errors import RefusedError
from admin_api.schemas.queue import CleanupRequest
from admin_api.services.attempt_rules import to_purge
from admin_api.services.jobs import read_schedule

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
