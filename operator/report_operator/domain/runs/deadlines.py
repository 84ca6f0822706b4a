"""Runs that would hang for ever: which, and with which reason they are ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.domain.runs.failure import Cause, PendingReason, explain_failure
from report_operator.domain.runs.run import Pod, Run, Stage
from report_operator.domain.times import spoken
from report_runner.contract.reasons import Reason

BACKOFF = timedelta(minutes=10)  # the Job controller's longest pause between attempts


@dataclass(frozen=True, slots=True)
class DeadlineExceeded:
    """A run that has to be ended, and why."""

    cause: Cause


def exceeded_deadline(
    run: Run,
    pods: Sequence[Pod],
    blockage: PendingReason | None,
    startup_limit: timedelta,
    queue_limit: timedelta,
    now: datetime,
    waits_for: str = "",
) -> DeadlineExceeded | None:
    """None for a run that may go on. `waits_for`: what held a waiting run back last, if known."""
    if run.finished or run.deleting:
        return None
    if run.termination_reason:
        # Of a run that waits nobody else makes an end: on-call had it purged.
        return DeadlineExceeded(explain_failure(run, ())) if run.stage is Stage.QUEUED else None
    if run.stage is Stage.QUEUED:
        if run.backfill:
            return None  # it is meant to wait until there is room
        waited = now - run.created_at
        if waited < queue_limit:
            return None
        return DeadlineExceeded(
            Cause(
                Reason.QUEUE_TIMEOUT,
                f"waited {spoken(waited)} for admission"
                + (f" ({waits_for})" if waits_for else "")
                + f", the limit is {spoken(queue_limit)}; raise the operator's limits of active "
                "runs, or its priority",
            )
        )
    if run.stage not in (Stage.PENDING, Stage.RETRYING):
        return None
    waiting_since = _waiting_since(run, pods[-1] if pods else None)
    if waiting_since is None or now - waiting_since < startup_limit:
        return None
    note = f"could not start within {spoken(startup_limit)}"
    if blockage is not None:
        return DeadlineExceeded(Cause(blockage.cause.reason, f"{note}: {blockage.cause.message}"))
    return DeadlineExceeded(
        Cause(
            Reason.CONTAINER_NOT_STARTED,
            f"the pod {note} and nothing says why; kubectl describe pod -l job-name={run.name}: is "
            "the kubelet of its node at work, is a large image still being pulled?",
        )
    )


def _waiting_since(run: Run, newest: Pod | None) -> datetime | None:
    """From when on the run should have had a pod that runs; None where it has, or may have."""
    if newest is None:
        return None if run.active_pods else run.admitted_at  # its pod may not be heard of yet
    if newest.ended:
        # The Job controller waits before the next attempt.
        return None if run.active_pods else (newest.finished_at or newest.created_at) + BACKOFF
    return None if newest.started_at is not None else newest.created_at
