"""From when on slots count: an author's edit starts anew, somebody else's edit changes nothing."""

from datetime import timedelta

import pytest
from factories import SLOT, make_schedule, merged
from test_schedules_desired import SINCE, build

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.status import Condition, ReportScheduleStatus
from report_operator.domain.schedules.cronjob import counts_since, definition_of, is_settled

NOW = SLOT + timedelta(hours=1)
SCHEDULE = make_schedule()


def status(
    generation: int = SCHEDULE.generation,
    ready: str = "True",
    since=SINCE,
    reason: str = ReadyReason.API_ERROR,
):
    condition = Condition(
        type=ConditionType.READY,
        status=ready,
        reason=ReadyReason.READY.value if ready == "True" else reason,
        message="",
        last_transition_time=SLOT,
    )
    return ReportScheduleStatus(
        observed_generation=generation, conditions=[condition], schedule_since=since
    )


SUSPENDED = {"spec": {"suspend": True}}
MOVED = {"metadata": {"annotations": {"reports.adaf.io/schedule-since": "2027-01-01T00:00:00Z"}}}


@pytest.mark.parametrize("edit", [SUSPENDED, {"spec": {"schedule": "* * * * *"}}, MOVED])
def test_an_edit_of_the_cronjob_makes_no_slot_less_owed(edit) -> None:
    live = merged(build()[1], edit)
    assert counts_since(SCHEDULE, live, status(), NOW) == SINCE


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (status(generation=SCHEDULE.generation - 1), NOW),  # the author edited the schedule
        (status(ready="False"), NOW),  # the CronJob is that of an older spec
        (status(since=None), NOW),
    ],
)
def test_an_edit_of_the_schedule_starts_anew(previous, expected) -> None:
    live = merged(build()[1], SUSPENDED)
    assert counts_since(SCHEDULE, live, previous, NOW) == expected


def test_without_a_cronjob_it_counts_from_where_it_did() -> None:
    assert counts_since(SCHEDULE, None, status(), NOW) == SINCE
    assert counts_since(SCHEDULE, None, status(since=None), NOW) == NOW


def test_a_cronjob_is_settled_once_it_was_made_of_this_spec() -> None:
    assert is_settled(SCHEDULE, status())
    assert is_settled(SCHEDULE, status(ready="False", reason=ReadyReason.SECRET_NOT_FOUND))
    assert not is_settled(SCHEDULE, status(ready="False"))
    assert not is_settled(SCHEDULE, ReportScheduleStatus())


@pytest.mark.parametrize(
    "change", [{"annotations": None}, {"annotations": {"reports.adaf.io/definition": None}}]
)
def test_a_definition_that_somebody_took_out(change) -> None:
    definition, cronjob = build()
    assert definition_of(cronjob) == definition.name
    live = merged(cronjob, {"spec": {"jobTemplate": {"metadata": change}}})
    assert definition_of(live) is None
    assert definition_of(merged(cronjob, {"spec": {"jobTemplate": {"metadata": None}}})) is None
