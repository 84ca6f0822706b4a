"""Giving up runs that wait in the queue."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from admin_api.schemas.queue import CleanupRequest
from admin_api.services import attempt_rules
from admin_api.services.attempts import reference_to
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import JOBS
from report_operator.domain.names import job_id


async def purge_queue(
    cluster: Cluster, audit: Audit, wanted: CleanupRequest, requested_by: str, now: datetime
) -> list[str]:
    """Give up the runs that the request is about; their ids. A dry run only lists them.

    Raises RefusedError, and what Cluster raises.
    """
    snapshot = await cluster.snapshot(fresh=(JOBS,))
    schedules = {schedule.uid: schedule for schedule in snapshot.schedules}
    removed: list[str] = []
    for run in attempt_rules.to_purge(wanted, snapshot.runs, snapshot.schedules, now):
        identity = job_id(run.namespace, run.schedule, run.slot, run.attempt)
        if wanted.dry_run:
            removed.append(identity)
            continue
        try:
            await cluster.purge(run, wanted.older_than_hours, requested_by)
        except ApiError as error:
            if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                continue  # it was admitted or removed meanwhile
            raise
        removed.append(identity)
        if schedule := schedules.get(run.schedule_uid):
            await audit.record(AuditAction.PURGE, requested_by, identity, reference_to(schedule))
    return removed
