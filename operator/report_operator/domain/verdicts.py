"""Runs that would hang for ever: which, and with which reason they are ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.domain.failure import Blockage, Cause
from report_operator.domain.run import Pod, Run, Stage
from report_runner.contract.reasons import Reason


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run that has to be ended, and why."""

    cause: Cause


def overdue(
    run: Run,
    pods: Sequence[Pod],
    blockage: Blockage | None,
    startup_limit: timedelta,
    queue_limit: timedelta,
    now: datetime,
) -> Overdue | None:
    """None for a run that may go on."""
    if run.finished or run.deleting or run.forced_reason:
        return None
    if run.stage is Stage.QUEUED:
        waited = now - run.created_at
        if waited < queue_limit:
            return None
        return Overdue(
            Cause(
                Reason.QUEUE_TIMEOUT,
                f"waited {_minutes(waited)} for admission, the limit is {_minutes(queue_limit)}; "
                "raise the operator's limits of active runs, or its priority",
            )
        )
    if run.stage not in (Stage.PENDING, Stage.RETRYING):
        return None
    newest = pods[-1] if pods else None
    if newest is not None and newest.ended:
        return None  # the Job controller waits before the next attempt
    since = newest.created_at if newest else run.admitted_at
    if since is None or now - since < startup_limit:
        return None
    note = f"could not start within {_minutes(startup_limit)}"
    if blockage is not None:
        return Overdue(Cause(blockage.cause.reason, f"{note}: {blockage.cause.message}"))
    return Overdue(Cause(Reason.INTERNAL_ERROR, f"the pod {note} and nothing says why"))


def _minutes(span: timedelta) -> str:
    minutes = span / timedelta(minutes=1)
    return f"{minutes:.0f} min" if minutes >= 1 else f"{span.total_seconds():.0f} s"
