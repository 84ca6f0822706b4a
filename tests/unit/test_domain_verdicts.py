"""Runs that would hang for ever are ended with a reason; others are left alone."""

from datetime import timedelta

import pytest
from factories import MINUTE, SLOT, active_run, finished_run, make_pod, make_run

from report_operator.domain.runs.deadlines import exceeded_deadline
from report_operator.domain.runs.failure import Cause, PendingReason
from report_runner.contract.reasons import Reason

STARTUP, QUEUE = timedelta(minutes=10), timedelta(hours=24)
FULL = PendingReason(Cause(Reason.IMAGE_UNAVAILABLE, "image runner:1: ErrImagePull"))
WAITING = make_pod(phase="Pending", exit_code=None, started_at=None, finished_at=None)
SECOND = timedelta(seconds=1)


def verdict(run, pods=(), blockage=None, after=timedelta(0)):
    found = exceeded_deadline(run, pods, blockage, STARTUP, QUEUE, SLOT + after)
    return found and found.cause


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
def test_run_that_may_go_on(run, pods, after) -> None:
    assert verdict(run, pods, FULL, after) is None


def test_queue_timeout() -> None:
    cause = verdict(make_run(), after=QUEUE)
    assert cause.reason is Reason.QUEUE_TIMEOUT
    assert "waited 24 h for admission, the limit" in cause.message
    held = exceeded_deadline(
        make_run(), (), None, STARTUP, QUEUE, SLOT + QUEUE, "2 of 2 places are taken"
    )
    assert held is not None
    assert "24 h for admission (2 of 2 places are taken), the limit" in held.cause.message


def test_purged_while_it_waits() -> None:
    cause = verdict(
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
def test_pod_that_does_not_start(run, pods) -> None:
    cause = verdict(run, pods, FULL, STARTUP)
    assert cause.reason is Reason.IMAGE_UNAVAILABLE
    assert cause.message == "could not start within 10 min: image runner:1: ErrImagePull"
    unknown = verdict(run, pods, None, STARTUP)
    assert unknown.reason is Reason.CONTAINER_NOT_STARTED
    assert "kubectl describe pod -l job-name=" in unknown.message


def test_pod_that_runs_is_not_ended_although_the_job_says_so_later() -> None:
    """The Job's count of ready pods lags behind the pod itself."""
    started = make_pod(phase="Running", exit_code=None, finished_at=None)
    assert verdict(active_run(), (started,), None, STARTUP + SECOND) is None


def test_pods_that_are_not_known_yet_are_not_held_against_the_run() -> None:
    """After a restart Jobs may be heard of before their pods."""
    assert verdict(active_run(active_pods=1), (), None, STARTUP + MINUTE) is None


def test_next_attempt_that_never_gets_a_pod_is_ended() -> None:
    """Between attempts the Job controller waits ten minutes at most; a quota may last for ever."""
    run = active_run(failed_pods=1, active_pods=0)
    cause = verdict(run, (make_pod(),), FULL, timedelta(hours=2))
    assert cause is not None
    assert cause.reason is Reason.IMAGE_UNAVAILABLE


def test_a_backfills_run_waits_as_long_as_it_takes() -> None:
    run = make_run(backfill="march")
    assert exceeded_deadline(run, (), None, STARTUP, QUEUE, SLOT + 30 * timedelta(days=1)) is None
    purged = make_run(backfill="march", termination_reason="QueueTimeout")
    assert exceeded_deadline(purged, (), None, STARTUP, QUEUE, SLOT) is not None
