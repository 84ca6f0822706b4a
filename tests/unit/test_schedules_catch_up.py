"""RunAll makes up for each missed slot once, and says which it will not make up for any more."""

from __future__ import annotations

from datetime import timedelta

from factories import (
    SLOT,
    finished_run,
    fresh_status,
    make_entry,
    make_observation,
    make_plan,
    make_run,
    make_schedule,
    update_at,
)

from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.runs.cause import Cause
from report_operator.domain.schedules.catch_up import (
    expired_slots,
    handled_through,
    slots_to_catch_up,
)
from report_operator.domain.schedules.observation import Observation, RefusedSlot
from report_runner.contract.reasons import Reason

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOW = SLOT + 6 * HOUR + 30 * MINUTE
PLAN = make_plan("0 * * * *", since=SLOT)
REFUSED = Cause(Reason.QUOTA_EXCEEDED, "exceeded quota")


def seen(policy: str = "RunAll", within: str = "10h", **changes: object) -> Observation:
    spec = make_schedule({"missedRuns": {"policy": policy, "startWithin": within}}).spec
    return make_observation(NOW, **{"plan": PLAN, "spec": spec, **changes})


def status(**fields: object) -> ReportScheduleStatus:
    return fresh_status().model_copy(update=fields)


def test_slot_whose_job_was_pruned_is_not_run_again_while_a_later_one_is_refused() -> None:
    first = seen()
    assert slots_to_catch_up(first) == [SLOT + n * HOUR for n in range(1, 7)]
    refused = RefusedSlot(SLOT + 4 * HOUR, REFUSED, catch_up=True)
    made = [make_run(uid=str(n), slot=SLOT + n * HOUR) for n in range(1, 4)]
    through = handled_through(seen(refused=refused, runs=made))
    assert through == SLOT + 3 * HOUR  # those before it were made
    # Their Jobs end and go; so do their outcomes.
    later = seen(previous=status(handled_through=through))
    assert slots_to_catch_up(later) == [SLOT + n * HOUR for n in range(4, 7)]


def test_slot_with_an_outcome_is_not_run_again() -> None:
    ran = make_entry("ran", slot=SLOT + 2 * HOUR)
    found = slots_to_catch_up(seen(previous=status(recent_runs=[ran])))
    assert SLOT + 2 * HOUR not in found
    assert len(found) == 5


def test_change_to_run_all_runs_nothing_that_ran_before() -> None:
    before = status(last_schedule_time=SLOT + 5 * HOUR, handled_through=None)
    assert slots_to_catch_up(seen(previous=before)) == [SLOT + 6 * HOUR]
    # What it said before another policy is forgotten with it.
    assert handled_through(seen("Skip", previous=status(handled_through=SLOT + HOUR))) is None


def test_slot_that_can_no_longer_start_is_told_as_missed_once() -> None:
    refused = RefusedSlot(SLOT + HOUR, REFUSED, catch_up=True)
    spec = make_schedule({"missedRuns": {"policy": "RunAll", "startWithin": "4h"}}).spec
    changes = {"plan": PLAN, "spec": spec, "refused": refused}
    assert expired_slots(make_observation(NOW, **changes)) == [SLOT + HOUR, SLOT + 2 * HOUR]
    through = handled_through(make_observation(NOW, **changes))
    first = update_at(NOW, handled_through=through, **changes).status
    assert first.last_missed is not None
    assert (first.last_missed.count, first.last_missed.first) == (2, SLOT + HOUR)
    again = make_observation(NOW + MINUTE, previous=first, **changes)
    assert expired_slots(again) == []
    assert handled_through(again) == first.handled_through


def test_newest_run_of_the_controller_counts_where_nothing_is_missed() -> None:
    runs = (finished_run(slot=SLOT + 6 * HOUR),)
    before = status(handled_through=SLOT + 5 * HOUR)
    assert handled_through(seen(previous=before, runs=runs)) == SLOT + 6 * HOUR
