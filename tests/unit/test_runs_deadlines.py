"""Runs that would hang for ever are ended with a reason; others are left alone."""

from datetime import timedelta

import pytest
from factories import MINUTE, SLOT, active_run, finished_run, make_pod, make_run, observed

from report_operator.domain.runs.deadlines import StartLimits, exceeded_deadline
from report_operator.domain.runs.failure import Cause, PendingReason
from report_runner.contract.reasons import Reason

STARTUP, QUEUE = timedelta(minutes=10), timedelta(hours=24)
FULL = PendingReason(Cause(Reason.IMAGE_UNAVAILABLE, "image runner:1: ErrImagePull"))
WAITING = make_pod(phase="Pending", exit_code=None, started_at=None, finished_at=None)
SECOND = timedelta(seconds=1)


def cause_of(run, pods=(), pending_reason=None, after=timedelta(0), waits_for=""):
    seen = observed(
        run, pods=pods, pending_reason=pending_reason, now=SLOT + after, waits_for=waits_for
    )
    return exceeded_deadline(seen, StartLimits(startup=STARTUP, queue=QUEUE))


NOTHING_YET = active_run(active_pods=0)


@pytest.mark.parametrize(
    ("run", "pods", "after"),
    [
        (make_run(), (), QUEUE - SECOND),
        (make_run(deleting=True), (), 2 * QUEUE),
        (active_run(termination_reason="ImageUnavailable"), (), 2 * QUEUE),
        (finished_run(), (), 2 * QUEUE),
        (NOTHING_YET, (), STARTUP - SECOND),
        (active_run(active_pods=0, admitted_at=None), (), STARTUP),
        (active_run(), (WAITING,), STARTUP - SECOND),
        (active_run(ready_pods=1), (make_pod(phase="Running", exit_code=None),), 2 * QUEUE),
        # a new attempt's pod has its own time
        (
            active_run(failed_pods=1),
            (make_pod(), make_pod(phase="Pending", created_at=SLOT + STARTUP)),
            STARTUP + 9 * MINUTE,
        ),
        # between two attempts
        (active_run(failed_pods=1, active_pods=0), (make_pod(),), STARTUP + MINUTE),
    ],
)
def test_run_within_its_deadlines_goes_on(run, pods, after) -> None:
    assert cause_of(run, pods, FULL, after) is None


def test_queued_run_is_ended_after_the_queue_timeout() -> None:
    cause = cause_of(make_run(), after=QUEUE)
    assert cause.reason is Reason.QUEUE_TIMEOUT
    assert "waited 1440 min for admission, the limit" in cause.message
    held = cause_of(make_run(), after=QUEUE, waits_for="2 of 2 places are taken")
    assert held is not None
    assert "1440 min for admission (2 of 2 places are taken), the limit" in held.message


def test_purged_queued_run_is_ended_with_its_reason() -> None:
    cause = cause_of(
        make_run(termination_reason="QueueTimeout", termination_detail="purged on request")
    )
    assert cause == Cause(Reason.QUEUE_TIMEOUT, "purged on request")


@pytest.mark.parametrize(
    ("run", "pods"),
    [
        (NOTHING_YET, ()),
        (active_run(), (WAITING,)),
        (active_run(failed_pods=1), (make_pod(created_at=SLOT - MINUTE), WAITING)),
    ],
)
def test_run_whose_pod_does_not_start_is_ended_with_the_pending_reason(run, pods) -> None:
    cause = cause_of(run, pods, FULL, STARTUP)
    assert cause.reason is Reason.IMAGE_UNAVAILABLE
    assert cause.message == "could not start within 10 min: image runner:1: ErrImagePull"
    assert cause_of(run, pods, None, STARTUP).reason is Reason.INTERNAL_ERROR


def test_run_with_a_running_pod_is_not_ended_while_the_job_lags_behind() -> None:
    """The Job's count of ready pods lags behind the pod itself."""
    started = make_pod(phase="Running", exit_code=None, finished_at=None)
    assert cause_of(active_run(), (started,), None, STARTUP + SECOND) is None


def test_run_is_not_ended_while_its_pods_are_not_known_yet() -> None:
    """After a restart Jobs may be heard of before their pods."""
    assert cause_of(active_run(active_pods=1), (), None, STARTUP + MINUTE) is None


def test_next_attempt_that_never_gets_a_pod_is_ended() -> None:
    """Between attempts the Job controller waits ten minutes at most; a quota may last for ever."""
    run = active_run(failed_pods=1, active_pods=0)
    cause = cause_of(run, (make_pod(),), FULL, timedelta(hours=2))
    assert cause is not None
    assert cause.reason is Reason.IMAGE_UNAVAILABLE


def test_backfill_run_has_no_queue_timeout() -> None:
    run = make_run(backfill="march")
    assert cause_of(run, after=timedelta(days=30)) is None
    purged = make_run(backfill="march", termination_reason="QueueTimeout")
    assert cause_of(purged) is not None
