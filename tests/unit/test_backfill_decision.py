"""One step of a backfill: from what is observed to the status that names the runs to make."""

from datetime import timedelta
from typing import Any

from factories import SLOT, UID, make_entry

from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import ReportBackfillStatus
from report_operator.api.v1alpha1.conditions import BackfillReason
from report_operator.domain.backfills.decision import BackfillObservation, decide
from report_operator.domain.backfills.planning import HeldUpError, Slot
from report_operator.domain.runs.history import PastRun, SlotPast
from report_runner.contract.result import Outcome

DAY = timedelta(days=1)
SLOTS = [Slot(SLOT + n * DAY, "daily", UID, (SLOT + n * DAY).date()) for n in range(4)]


def observe(**changes: Any) -> BackfillObservation:
    dates = {"startDate": "2026-11-24", "endDate": "2026-11-27"}
    spec = {**dates, "maxConcurrent": 2, "everySchedule": True}
    values: dict[str, Any] = {
        "now": SLOT + 9 * DAY,
        "generation": 1,
        "previous": ReportBackfillStatus(),
        "outcomes": {},
        "schedules": {UID},
        "spec": ReportBackfillSpec.model_validate({**spec, **changes.pop("spec", {})}),
        "slots": SLOTS,
        "looked_up": len(SLOTS),
    }
    return BackfillObservation(**{**values, **changes})


def test_runs_are_chosen_until_the_places_are_taken() -> None:
    status = decide(observe())
    assert [run.slot for run in status.in_flight] == [SLOT, SLOT + DAY]
    assert (status.cursor, status.progress) == (SLOTS[1].cursor, "0/4")


def test_slot_that_has_a_success_is_skipped() -> None:
    done = SlotPast(PastRun(SLOT, 1, Outcome.SUCCEEDED), succeeded=True, under_way=False)
    status = decide(observe(past={(UID, SLOT): done}))
    assert [run.slot for run in status.in_flight] == [SLOT + DAY, SLOT + 2 * DAY]
    assert (status.skipped, status.progress) == (1, "1/4")


def test_run_that_ended_is_counted_and_its_place_is_taken_by_the_next() -> None:
    before = decide(observe())
    ended = {run.job: make_entry(run.job) for run in before.in_flight[:1]}
    status = decide(observe(previous=before, outcomes=ended, slots=SLOTS[2:], looked_up=2))
    assert [run.slot for run in status.in_flight] == [SLOT + DAY, SLOT + 2 * DAY]
    assert (status.done, status.progress) == (1, "1/4")


def test_nothing_is_decided_beyond_the_slots_whose_past_is_known() -> None:
    status = decide(observe(looked_up=1))
    assert [run.slot for run in status.in_flight] == [SLOT]
    assert status.cursor == SLOTS[0].cursor


def test_nothing_is_chosen_while_it_is_held_up() -> None:
    held_up = HeldUpError(BackfillReason.HISTORY_UNAVAILABLE, "connection refused")
    status = decide(observe(held_up=held_up, looked_up=0))
    assert (status.in_flight, status.cursor, status.progress) == ([], None, "0/4")
    assert status.state == "Waiting"


def test_suspended_backfill_chooses_nothing_and_a_dry_run_chooses_all() -> None:
    assert decide(observe(spec={"suspend": True}, looked_up=0)).in_flight == []
    dry = decide(observe(spec={"dryRun": True}))
    assert (dry.in_flight, dry.would_run_count, dry.state) == ([], 4, "DryRun")
