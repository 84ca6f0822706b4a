"""How on-call sees a run that waits for its data."""

from __future__ import annotations

from datetime import timedelta

from factories import MINUTE, SLOT, make_entry, make_schedule, schedule_body, update_at
from test_data_wait import NONE_YET, waiting_run
from test_operator_metrics import RUN_LABELS, metrics_of, value

from admin_api.schemas.queue import CleanupRequest
from admin_api.services.cleanup_rules import to_purge
from admin_api.services.explain import explain
from admin_api.services.jobs import ScheduleSummary, read_schedule


def summary_at(minutes: int) -> ScheduleSummary:
    status = update_at(SLOT + minutes * MINUTE, runs=[waiting_run()]).status
    return read_schedule({**schedule_body(), "status": status.to_wire()})


def test_why_says_what_a_late_run_waits_for() -> None:
    schedule = summary_at(31)
    detail = explain(schedule, [])
    assert NONE_YET in detail.explanation
    assert "next check 2026-11-24T05:06:00Z; deadline 2026-11-24T07:00:00Z: it fails then" in (
        detail.explanation
    )
    assert detail.waiting_for_data == 1
    assert "1 run waiting for data" in detail.explanation


def test_why_hides_the_answer_from_who_may_not_read_the_data() -> None:
    """The answer may quote a database."""
    for minutes in (2, 31):
        assert NONE_YET not in explain(summary_at(minutes), [], messages=False).explanation


def test_why_says_that_a_run_waits_before_it_is_late() -> None:
    detail = explain(summary_at(2), [])
    assert (
        "Its run of slot 2026-11-24T05:00:00Z waits for its data since 2026-11-24T05:01:00Z (1 "
        "check so far); next check 2026-11-24T05:06:00Z; deadline 2026-11-24T07:00:00Z."
    ) in detail.explanation


def test_cleanup_of_the_queue_leaves_what_waits_for_data() -> None:
    request = CleanupRequest(older_than_hours=1)
    assert to_purge(request, [waiting_run()], [], SLOT + timedelta(days=1)) == []


def test_time_that_a_run_waited_for_data_is_a_stage() -> None:
    metrics = metrics_of([])
    metrics.run_recorded("reports", "daily", "critical", make_entry(data_wait_seconds=600))
    found = value(metrics, "run_stage_seconds_sum", stage="waiting_for_data", **RUN_LABELS)
    assert found == 600


def test_status_reaches_the_object_as_it_was_computed() -> None:
    """Under the names of the CRD."""
    status = update_at(SLOT + 2 * MINUTE, runs=[waiting_run()], spec=make_schedule().spec).status
    assert status.to_wire()["dataWait"] == {
        "slot": "2026-11-24T05:00:00Z",
        "job": "daily-29924940",
        "since": "2026-11-24T05:01:00Z",
        "checks": 1,
        "answer": NONE_YET,
        "nextCheck": "2026-11-24T05:06:00Z",
        "deadline": "2026-11-24T07:00:00Z",
    }
