"""One event for each transition, none while nothing changes."""

import pytest
from factories import (
    LIVE_CRONJOB,
    MINUTE,
    SLOT,
    active_run,
    fresh_status,
    make_entry,
    make_run,
    merged,
    observed,
    update_at,
)

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.runs.failure import Cause, PendingReason
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.transitions import transitions
from report_runner.contract.reasons import Reason

QUIET = SLOT - 30 * MINUTE
LATE = SLOT + 31 * MINUTE


def at_minute(minute: int, previous: ReportScheduleStatus | None = None, **changes):
    return update_at(SLOT + minute * MINUTE, previous, **changes).status


def events(before: ReportScheduleStatus, after: ReportScheduleStatus) -> list[tuple[str, str]]:
    return [(found.kind, found.reason) for found in transitions(before, after)]


def refused(reason: ReadyReason, message: str = "no") -> ReadyProblem:
    return ReadyProblem(reason, message)


def history(*entries) -> RunHistory:
    return RunHistory(entries, {})


READY = at_minute(-30)
REFUSED = at_minute(-29, READY, problem=refused(ReadyReason.INVALID_SPEC))
DELAYED = at_minute(31, READY, runs=(make_run(),))
ON_TIME = at_minute(40, DELAYED, runs=(make_run(finished_at=SLOT + 39 * MINUTE),))
OK, BAD = make_entry("ok"), make_entry("bad", Reason.TIMEOUT)
NO_SECRET = PendingReason(Cause(Reason.CONFIGURATION_ERROR, "no Secret x"), missing_secret="x")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (fresh_status(), READY, []),  # that all is well at first is no event
        (fresh_status(), REFUSED, [("Warning", "InvalidSpec")]),
        (READY, REFUSED, [("Warning", "InvalidSpec")]),
        (
            REFUSED,
            at_minute(-20, REFUSED, problem=refused(ReadyReason.INVALID_SPEC, "other words")),
            [],
        ),
        (
            REFUSED,
            at_minute(-20, REFUSED, problem=refused(ReadyReason.TEMPLATE_INVALID)),
            [("Warning", "TemplateInvalid")],
        ),
        (REFUSED, at_minute(-20, REFUSED), [("Normal", "Ready")]),
        (
            READY,
            at_minute(-20, READY, runs=(observed(active_run(), pending_reason=NO_SECRET),)),
            [("Warning", "SecretNotFound")],
        ),
        (
            READY,
            at_minute(-20, READY, cronjob=merged(LIVE_CRONJOB, {"metadata": {"name": "other"}})),
            [],
        ),
        (READY, DELAYED, [("Warning", "Delayed")]),
        (DELAYED, at_minute(90, DELAYED, runs=(active_run(),)), []),  # later, stage
        (DELAYED, ON_TIME, [("Normal", "OnTime")]),
        (fresh_status(), at_minute(31), [("Warning", "Delayed")]),
        (
            READY,
            at_minute(6, READY, history=history(OK)),
            [("Normal", "RunSucceeded")],
        ),
        (
            READY,
            at_minute(6, READY, history=history(OK, BAD)),
            [("Normal", "RunSucceeded"), ("Warning", "RunFailed")],
        ),
    ],
)
def test_each_transition_makes_one_event(before, after, expected) -> None:
    assert events(before, after) == expected
    assert events(after, after) == []


def test_outcomes_that_leave_the_list_make_no_event() -> None:
    both = at_minute(6, READY, history=history(OK, BAD))
    one = at_minute(7, both, history=history(BAD))
    assert events(both, one) == []


def test_messages_name_slot_job_and_reason() -> None:
    late, failed = (
        transitions(READY, DELAYED)[0],
        transitions(READY, at_minute(6, READY, history=history(BAD)))[0],
    )
    assert "waits for admission" in late.message
    assert late.at == LATE
    assert failed.message == (
        "slot 2026-11-24T05:00:00Z, Job daily-bad: Timeout: no route to the database"
    )
    assert (failed.at, failed.key) == (BAD.finished_at, "bad")


def test_same_transition_has_the_same_key_when_found_again() -> None:
    """Who crashes before it can save finds the same again, and says the same."""
    assert transitions(READY, DELAYED) == transitions(
        READY, at_minute(31, READY, runs=(make_run(),))
    )
    again = at_minute(31, ON_TIME, runs=(make_run(),))
    keys = {
        found.key
        for before, after in ((READY, DELAYED), (DELAYED, ON_TIME), (ON_TIME, again))
        for found in transitions(before, after)
    }
    assert len(keys) == 2  # the third is the first: the same condition at the same time
    assert transitions(again, at_minute(32, again, runs=(make_run(),), generation=4)) == []
