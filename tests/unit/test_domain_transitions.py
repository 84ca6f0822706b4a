"""One event for each transition, none while nothing changes."""

from dataclasses import replace

import pytest
from factories import MINUTE, SLOT, active_run, fresh_status, make_entry, make_facts, make_run

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.runs.failure import Cause, PendingReason
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.schedules.status import Observation, ReadyProblem, compute_status
from report_operator.domain.schedules.transitions import transitions
from report_runner.contract.reasons import Reason

QUIET = SLOT - 30 * MINUTE
LATE = SLOT + 31 * MINUTE


def at_minute(minute: int, facts: Observation, previous: ReportScheduleStatus | None = None):
    return compute_status(previous or fresh_status(), facts, SLOT + minute * MINUTE).status


def events(before: ReportScheduleStatus, after: ReportScheduleStatus) -> list[tuple[str, str]]:
    return [(found.kind, found.reason) for found in transitions(before, after)]


def refused(reason: ReadyReason, message: str = "no") -> Observation:
    return make_facts(problem=ReadyProblem(reason, message))


READY = at_minute(-30, make_facts())
REFUSED = at_minute(-29, refused(ReadyReason.INVALID_SPEC), READY)
DELAYED = at_minute(31, make_facts(runs=(make_run(),)), READY)
ON_TIME = at_minute(40, make_facts(runs=(make_run(finished_at=SLOT + 39 * MINUTE),)), DELAYED)
OK, BAD = make_entry("ok"), make_entry("bad", Reason.TIMEOUT)
NO_SECRET = make_facts(
    blockage=PendingReason(Cause(Reason.CONFIGURATION_ERROR, "no Secret x"), missing_secret="x"),
    blocked_run=active_run(),
)
FULL = make_facts(
    blockage=PendingReason(Cause(Reason.UNSCHEDULABLE, "0/1 nodes are available")),
    blocked_run=active_run(),
)
FULL_NODES = replace(
    FULL, blockage=PendingReason(Cause(Reason.UNSCHEDULABLE, "0/2 nodes are available"))
)
NO_JOB = make_facts(refusal=Cause(Reason.QUOTA_EXCEEDED, "its Job could not be made: quota"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (fresh_status(), READY, []),  # that all is well at first is no event
        (fresh_status(), REFUSED, [("Warning", "InvalidSpec")]),
        (READY, REFUSED, [("Warning", "InvalidSpec")]),
        (REFUSED, at_minute(-20, refused(ReadyReason.INVALID_SPEC, "other words"), REFUSED), []),
        (
            REFUSED,
            at_minute(-20, refused(ReadyReason.TEMPLATE_INVALID), REFUSED),
            [("Warning", "TemplateInvalid")],
        ),
        (REFUSED, at_minute(-20, make_facts(), REFUSED), [("Normal", "Ready")]),
        (
            READY,
            at_minute(-20, NO_SECRET, READY),
            [("Warning", "SecretNotFound"), ("Warning", "RunNotStarting")],
        ),
        (READY, at_minute(-20, FULL, READY), [("Warning", "RunNotStarting")]),
        (at_minute(-20, FULL, READY), at_minute(-19, FULL_NODES, READY), []),
        (READY, at_minute(1, NO_JOB, READY), [("Warning", "RunNotStarting")]),
        (READY, at_minute(-20, make_facts(cronjob="other"), READY), []),
        (READY, DELAYED, [("Warning", "Delayed")]),
        (DELAYED, at_minute(90, make_facts(runs=(active_run(),)), DELAYED), []),  # later, stage
        (DELAYED, ON_TIME, [("Normal", "OnTime")]),
        (fresh_status(), at_minute(31, make_facts()), [("Warning", "Delayed")]),
        (
            READY,
            at_minute(6, make_facts(ledger=RunHistory((OK,), {})), READY),
            [("Normal", "RunSucceeded")],
        ),
        (
            READY,
            at_minute(6, make_facts(ledger=RunHistory((OK, BAD), {})), READY),
            [("Normal", "RunSucceeded"), ("Warning", "RunFailed")],
        ),
    ],
)
def test_events(before, after, expected) -> None:
    assert events(before, after) == expected
    assert events(after, after) == []


def test_outcomes_that_leave_the_list_are_no_news() -> None:
    both = at_minute(6, make_facts(ledger=RunHistory((OK, BAD), {})), READY)
    one = at_minute(7, make_facts(ledger=RunHistory((BAD,), {})), both)
    assert events(both, one) == []


def test_words() -> None:
    late, failed = (
        transitions(READY, DELAYED)[0],
        transitions(READY, at_minute(6, make_facts(ledger=RunHistory((BAD,), {})), READY))[0],
    )
    assert "waits for admission" in late.message
    assert late.at == LATE
    assert failed.message == (
        "slot 2026-11-24T05:00:00Z, Job daily-bad: Timeout: no route to the database"
    )
    assert (failed.at, failed.key) == (BAD.finished_at, "bad")


def test_key_is_of_the_transition_not_of_its_discovery() -> None:
    """Who crashes before it can save finds the same again, and says the same."""
    facts = make_facts(runs=(make_run(),))
    assert transitions(READY, DELAYED) == transitions(READY, at_minute(31, facts, READY))
    again = at_minute(31, facts, ON_TIME)
    later = replace(facts, generation=4)
    keys = {
        found.key
        for before, after in ((READY, DELAYED), (DELAYED, ON_TIME), (ON_TIME, again))
        for found in transitions(before, after)
    }
    assert len(keys) == 2  # the third is the first: the same condition at the same time
    assert transitions(again, at_minute(32, later, again)) == []
