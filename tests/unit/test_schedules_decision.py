"""What one reconcile of a schedule does: what ends, what is made, what is recorded, what goes."""

from datetime import timedelta

from factories import MINUTE, SLOT, active_run, finished_run, make_observation, make_run

from report_operator.domain.runs.deadlines import StartLimits
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.schedules.decision import ScheduleLimits, decide
from report_runner.contract.reasons import Reason

LIMITS = ScheduleLimits(
    StartLimits(startup=10 * MINUTE, queue=60 * MINUTE),
    HistoryLimits(succeeded_jobs=0, failed_jobs=0, outcomes=20),
)
LATER = SLOT + 90 * MINUTE


def test_queued_run_past_its_deadline_is_recorded_and_its_job_goes() -> None:
    decision = decide(make_observation(LATER, runs=[make_run()]), LIMITS)
    (entry,) = decision.history.recent
    assert entry.reason is Reason.QUEUE_TIMEOUT
    assert [run.uid for run in decision.prune] == ["job-1"]
    assert decision.to_fail == []
    assert decision.update.status.queued == 0


def test_given_up_run_goes_although_history_does_not_have_it_yet() -> None:
    """It is not finished, so it would hold up the next slots; its outcome is in status."""
    seen = make_observation(LATER, runs=[make_run()], pending_records=frozenset({"job-1"}))
    assert [run.uid for run in decide(seen, LIMITS).prune] == ["job-1"]


def test_admitted_run_that_does_not_start_is_left_to_the_job_controller() -> None:
    run = active_run(active_pods=0)
    decision = decide(make_observation(SLOT + 11 * MINUTE, runs=[run]), LIMITS)
    assert [(item.run, item.cause.reason) for item in decision.to_fail] == [
        (run, Reason.INTERNAL_ERROR)
    ]
    assert decision.history.recent == ()
    assert decision.prune == []
    assert decision.update.status.active == 1


def test_finished_job_stays_until_history_has_its_outcome() -> None:
    done = finished_run()
    waiting = make_observation(LATER, runs=[done], pending_records=frozenset({done.uid}))
    assert decide(waiting, LIMITS).prune == []
    stored = make_observation(LATER, runs=[done])
    assert decide(stored, LIMITS).prune == [done]


def test_run_that_starts_is_checked_again_soon() -> None:
    decision = decide(make_observation(SLOT + MINUTE, runs=[active_run()]), LIMITS)
    assert decision.check_after == timedelta(seconds=10)
