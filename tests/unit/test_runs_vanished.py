"""Runs whose Job went before it had ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from factories import MINUTE, SLOT, finished_run, make_run, update_at

from report_operator.domain.runs.dead_letter import is_failure
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.vanished import (
    ACTIVE_LIMIT,
    active_runs,
    missing_runs,
    outcome_of_missing,
)
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

RUN = make_run(uid="gone", requested_by="jane")
NEXT = make_run(name="daily-next", uid="next", slot=SLOT + MINUTE)


def test_active_runs_are_those_that_have_not_ended() -> None:
    runs = [RUN, finished_run("done"), make_run(uid="b", backfill="month", backfill_uid="m")]
    (entry,) = active_runs(runs)
    assert (entry.uid, entry.slot, entry.requested_by) == ("gone", SLOT, "jane")
    many = [make_run(uid=str(n), slot=SLOT + n * MINUTE) for n in range(ACTIVE_LIMIT + 50)]
    assert [entry.uid for entry in active_runs(reversed(many))] == [
        str(n) for n in range(ACTIVE_LIMIT)
    ]


def test_run_is_missing_while_neither_job_nor_outcome_is_there() -> None:
    before = active_runs([RUN])
    assert missing_runs(before, [NEXT], ()) == before
    assert missing_runs(before, [RUN], ()) == []
    assert missing_runs(before, [], {"gone"}) == []


@pytest.mark.parametrize(
    ("policy", "others", "manual", "reason"),
    [
        ("Replace", [NEXT], False, Reason.REPLACED),
        ("Replace", [], False, Reason.JOB_DELETED),
        ("Replace", [NEXT], True, Reason.JOB_DELETED),
        (
            "Replace",
            [make_run(uid="m", manual=True, slot=SLOT + MINUTE)],
            False,
            Reason.JOB_DELETED,
        ),
        ("Forbid", [NEXT], False, Reason.JOB_DELETED),
    ],
)
def test_what_became_of_it(policy, others, manual, reason) -> None:
    (entry,) = active_runs([make_run(uid="gone", manual=manual)])
    outcome = outcome_of_missing(entry, others, policy, SLOT + 2 * MINUTE)
    assert (outcome.outcome, outcome.reason) == (Outcome.FAILED, reason)
    assert (outcome.uid, outcome.slot) == ("gone", SLOT)
    assert is_failure(outcome.outcome, outcome.reason) is (reason is Reason.JOB_DELETED)
    assert ("daily-next" in outcome.message) is (reason is Reason.REPLACED)


def test_replaced_over_and_over_is_late_though_each_run_is_young() -> None:
    """As with a run that takes longer than the time between two slots."""
    status, moment = None, SLOT
    history: tuple = ()
    for number in range(40):
        moment = SLOT + number * MINUTE + timedelta(seconds=30)
        run = make_run(uid=f"u{number}", name=f"j{number}", slot=SLOT + number * MINUTE)
        update = update_at(
            moment, status, runs=(run,), history=RunHistory(tuple(history[-10:]), {})
        )
        status = update.status
        (entry,) = status.active_runs
        replaced = outcome_of_missing(
            entry,
            [make_run(name="later", slot=entry.slot + MINUTE)],
            "Replace",
            moment,
        )
        history = (*history, replaced)
    assert status is not None
    assert status.health == "Delayed"
    assert status.delay is not None
    assert (status.delay.stage, status.delay.slot) == ("Replacing", SLOT)
    delayed = next(c for c in status.conditions if c.type == "Delayed")
    assert "replaced by the next" in delayed.message
