"""Which waiting runs a cleanup gives up, computed without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.queue import CleanupRequest
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.known_names import check_names
from report_operator.domain import names
from report_operator.domain.runs.deadlines import queued_since
from report_operator.domain.runs.run import Run
from report_runner.contract.reasons import Reason

Body = dict[str, Any]


def purge_patch(run: Run, hours: float, requested_by: str) -> Body:
    """A patch after which the operator records the run as failed and removes its Job."""
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {
                names.ANNOTATION_FAILURE_REASON: Reason.QUEUE_TIMEOUT.value,
                names.ANNOTATION_FAILURE_MESSAGE: (
                    f"purged from the queue on request of {requested_by}, after more than "
                    f"{hours:g} h; retry it if the report is still needed"
                ),
            },
        }
    }


def to_purge(
    request: CleanupRequest,
    runs: Iterable[Run],
    schedules: Sequence[ScheduleSummary],
    now: datetime,
) -> list[Run]:
    """Runs that the request gives up, oldest first. Raises RefusedError.

    Those that have waited for admission for more than its hours, and that all its filters match;
    of its ids, where it has some.
    """
    types = {schedule.uid: schedule.report_type for schedule in schedules}
    check_names(
        schedules,
        report_type=request.report_type,
        tier=request.tier,
        namespace=request.namespace,
    )
    waiting = [run for run in runs if run.waiting]
    if (
        request.backfill is not None
        and request.ids is None
        and all(run.backfill != request.backfill for run in waiting)
    ):
        raise RefusedError(404, f"no run of a ReportBackfill {request.backfill} waits")
    age = timedelta(hours=request.older_than_hours)
    ids = None if request.ids is None else set(request.ids)
    return sorted(
        (
            run
            for run in waiting
            if now - queued_since(run) > age
            and request.report_type in (None, types.get(run.schedule_uid))
            and request.tier in (None, run.tier)
            and request.namespace in (None, run.namespace)
            and request.backfill in (None, run.backfill)
            and (ids is None or run.identity.id in ids)
        ),
        key=lambda run: run.created_at,
    )
