"""What a backfill's status says: each run counted once, one word for how it is, events."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from factories import MINUTE, PATIENT, SLOT, make_entry
from hypothesis import given
from hypothesis import strategies as st

from report_operator.api.v1alpha1.backfill import parse_backfill_status
from report_operator.api.v1alpha1.backfill_status import (
    FAILURES_LIMIT,
    BackfillRun,
    ReportBackfillStatus,
)
from report_operator.api.v1alpha1.conditions import BackfillReason
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.backfills.planning import HeldUpError
from report_operator.domain.backfills.status import (
    BackfillProgress,
    backfill_transitions,
    conclude,
    jobs_to_make,
    settle,
    view_of,
)
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

NOW = SLOT + MINUTE
UID = "uid-daily"


def run(number: int, **changes: Any) -> BackfillRun:
    values: dict[str, Any] = {
        "job": f"daily-{number}",
        "schedule": "daily",
        "schedule_uid": UID,
        "slot": SLOT + timedelta(days=number),
        "report_date": date(2026, 11, 24) + timedelta(days=number),
        "attempt": 1,
    }
    return BackfillRun(**{**values, **changes})


def outcomes(good: Collection[int] = (), bad: Collection[int] = ()) -> dict[str, RecentRun]:
    return {f"daily-{n}": make_entry(f"{n}") for n in good} | {
        f"daily-{n}": make_entry(f"{n}", Reason.TIMEOUT) for n in bad
    }


def test_run_that_was_skipped_is_neither_done_nor_failed() -> None:
    skip = make_entry("0", Reason.UNCHANGED, outcome=Outcome.SKIPPED)
    settled = settle(status(in_flight=[run(0)]), {"daily-0": skip}, {UID})
    counts = settled.done, settled.failed, settled.skipped
    assert (counts, settled.in_flight, settled.last_failures) == ((0, 0, 1), [], [])


def status(**changes: Any) -> ReportBackfillStatus:
    return ReportBackfillStatus(**changes)


def progress(**changes: Any) -> BackfillProgress:
    values: dict[str, Any] = {
        "generation": 1, "suspended": False, "dry_run": False, "left": 0, "held_up": None
    }  # fmt: skip
    return BackfillProgress(**{**values, **changes})


def ready(found: ReportBackfillStatus) -> str:
    return next(c.reason for c in found.conditions if c.type == "Ready")


def complete(found: ReportBackfillStatus) -> tuple[str, str]:
    return next((c.status, c.reason) for c in found.conditions if c.type == "Complete")


def test_what_has_ended_is_counted_and_dropped_in_one_step() -> None:
    before = status(done=3, in_flight=[run(n) for n in range(4)])
    found = settle(before, outcomes([0], [2]), {UID})
    assert (found.done, found.failed, found.skipped) == (4, 1, 0)
    assert [r.job for r in found.in_flight] == ["daily-1", "daily-3"]
    (failure,) = found.last_failures
    assert (failure.job, failure.reason, failure.slot) == (
        "daily-2", Reason.TIMEOUT, run(2).slot
    )  # fmt: skip
    assert settle(found, outcomes([0], [2]), {UID}) == found  # never twice


def test_runs_of_a_deleted_schedule_are_skipped() -> None:
    before = status(in_flight=[run(0), run(1), run(2, schedule_uid="another")])
    # The outcome is of a namesake: it would be counted for a run that is not its own.
    found = settle(before, outcomes([0]), {"another"})
    assert (found.done, found.skipped, len(found.in_flight)) == (0, 2, 1)


def test_only_the_newest_failures_are_listed() -> None:
    found = status()
    for first in range(0, 24, 4):
        numbers = range(first, first + 4)
        found = settle(
            found.model_copy(update={"in_flight": [run(n) for n in numbers]}),
            outcomes(bad=numbers),
            {UID},
        )
    assert found.failed == 24
    assert len(found.last_failures) == FAILURES_LIMIT
    assert found.last_failures[-1].job == "daily-23"


@PATIENT
@given(st.lists(st.sampled_from(("good", "bad", "open")), max_size=20), st.randoms())
def test_however_often_it_looks_each_run_is_counted_once(kinds, random):
    found = status(in_flight=[run(n) for n in range(len(kinds))])
    for _ in range(4):
        seen = [n for n in range(len(kinds)) if random.random() < 0.6]
        good = [n for n in seen if kinds[n] == "good"]
        found = settle(found, outcomes(good, [n for n in seen if kinds[n] == "bad"]), {UID})
    every = range(len(kinds))
    found = settle(
        found,
        outcomes([n for n in every if kinds[n] == "good"], [n for n in every if kinds[n] == "bad"]),
        {UID},
    )
    assert found.done == kinds.count("good")
    assert found.failed == kinds.count("bad")
    assert len(found.in_flight) == kinds.count("open")


@pytest.mark.parametrize(
    ("before", "now", "state", "told"),
    [
        ({"done": 3, "skipped": 1, "in_flight": [run(0)]}, {"left": 5}, "Running", "4/10"),
        ({"done": 3, "in_flight": [run(0)]}, {"left": 0}, "Running", "3/4"),
        ({"done": 3, "skipped": 7}, {}, "Succeeded", "10/10"),
        ({"done": 3, "failed": 1}, {}, "Failed", "4/4"),
        ({}, {}, "Failed", "0/0"),
        ({"done": 1}, {"left": 4, "suspended": True}, "Suspended", "1/5"),
        ({"done": 1, "in_flight": [run(0)]}, {"suspended": True}, "Suspended", "1/2"),
        ({"skipped": 2, "would_run_count": 3}, {"dry_run": True}, "DryRun", "2/5"),
        ({"done": 1, "total": 9}, {"left": None}, "Running", "1/9"),
    ],
)
def test_state_and_progress(before, now, state, told):
    found = conclude(status(**before), progress(**now), NOW)
    assert (found.state, found.progress) == (state, told)
    assert (found.completion_time is None) == (state in ("Running", "Suspended"))
    assert found.running == len(found.in_flight)


@pytest.mark.parametrize(
    ("last", "said"),
    [(date(2026, 11, 23), "no slot on these dates"), (date(2199, 1, 2), "ask again for dates")],
)
def test_a_backfill_that_made_nothing_says_why(last: date, said: str) -> None:
    before = status(start_time=datetime(2026, 11, 24, 9, tzinfo=UTC))
    found = conclude(before, progress(last_date=last), NOW)
    assert (found.state, complete(found)) == ("Failed", ("True", "NoSlot"))
    message = next(c.message for c in found.conditions if c.type == "Complete")
    assert said in message
    assert message.startswith("no run was made")
    (told,) = [e for e in backfill_transitions(before, found) if e.reason == "BackfillComplete"]
    assert told.kind == "Warning"


def test_held_up_it_says_why_and_keeps_what_it_knew() -> None:
    held_up = HeldUpError(BackfillReason.HISTORY_UNAVAILABLE, "no answer")
    before = status(done=1, total=9, progress="1/9")
    found = conclude(before, progress(left=None, held_up=held_up), NOW)
    assert (found.state, found.progress, ready(found)) == ("Waiting", "1/9", "HistoryUnavailable")
    assert complete(found) == ("False", "InProgress")
    assert conclude(before, progress(left=0, held_up=held_up), NOW).state == "Waiting"


def test_what_is_over_stays_as_it_is() -> None:
    over = conclude(status(done=1, failed=1), progress(), NOW)
    assert complete(over) == ("True", "SomeFailed")
    later = conclude(over, progress(generation=2, suspended=True, left=None), NOW + 9 * MINUTE)
    assert later == over.model_copy(update={"observed_generation": 2})


def test_silence_while_nothing_changes() -> None:
    before = conclude(status(in_flight=[run(0)]), progress(left=3), NOW)
    assert conclude(before, progress(left=3), NOW + 90 * MINUTE) == before


def test_what_was_written_is_read_again() -> None:
    held_up = HeldUpError(BackfillReason.NO_SCHEDULE, "none")
    found = settle(status(in_flight=[run(0), run(1)]), outcomes(bad=[0]), {UID})
    found = conclude(found, progress(held_up=held_up, left=None), NOW)
    assert parse_backfill_status({"status": found.to_wire()}) == found


def test_one_that_cannot_be_read_is_no_empty_one() -> None:
    with pytest.raises(ValueError, match="done"):
        parse_backfill_status({"status": {"done": "many"}})


def test_events_tell_of_changes_only() -> None:
    def reasons(before: ReportBackfillStatus, after: ReportBackfillStatus) -> list[str]:
        return [event.reason for event in backfill_transitions(before, after)]

    none = HeldUpError(BackfillReason.NO_SCHEDULE, "none")
    down = HeldUpError(BackfillReason.HISTORY_UNAVAILABLE, "down")
    fresh = status()
    running = conclude(fresh, progress(left=2), NOW)
    waiting = conclude(fresh, progress(left=None, held_up=none), NOW)
    lost = conclude(waiting, progress(left=None, held_up=down), NOW)
    over = conclude(running.model_copy(update={"done": 2}), progress(), NOW)
    assert reasons(fresh, running) == []
    assert reasons(fresh, waiting) == ["NoSchedule"]
    assert reasons(waiting, waiting) == []
    assert reasons(waiting, lost) == ["HistoryUnavailable"]
    assert reasons(lost, conclude(lost, progress(left=2), NOW)) == ["Ready"]
    (event,) = backfill_transitions(running, over)
    assert (event.kind, event.reason) == ("Normal", "BackfillComplete")
    bad = conclude(running.model_copy(update={"failed": 1}), progress(), NOW)
    assert backfill_transitions(running, bad)[0].kind == "Warning"


def test_jobs_that_are_missing() -> None:
    before = status(in_flight=[run(0), run(1), run(2)])
    assert [r.job for r in jobs_to_make(before, {"daily-1", "other"})] == ["daily-0", "daily-2"]


def test_the_view_for_metrics_adds_up() -> None:
    found = conclude(status(done=3, failed=1, skipped=2, in_flight=[run(0)]), progress(left=4), NOW)
    view = view_of("reports", "march", found)
    assert view.runs == {"done": 3, "failed": 1, "skipped": 2, "running": 1, "left": 4}
    assert sum(view.runs.values()) == found.total
