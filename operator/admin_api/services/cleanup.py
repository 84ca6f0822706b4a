"""Giving up runs that wait in the queue."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from admin_api.services import attempt_rules
from admin_api.services.attempts import reference_to
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import JOBS
from report_operator.domain.names import job_id


async def purge_queue(
    cluster: Cluster, audit: Audit, hours: float, requested_by: str, now: datetime
) -> list[str]:
    """Give up the runs that wait for longer; their ids. Raises what Cluster raises."""
    snapshot = await cluster.snapshot(fresh=(JOBS,))
    schedules = {schedule.uid: schedule for schedule in snapshot.schedules}
    removed: list[str] = []
    for run in attempt_rules.to_purge(snapshot.runs, hours, now):
        try:
            await cluster.purge(run, hours)
        except ApiError as error:
            if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                continue  # it was admitted or removed meanwhile
            raise
        identity = job_id(run.namespace, run.schedule, run.slot, run.attempt)
        removed.append(identity)
        if schedule := schedules.get(run.schedule_uid):
            await audit.record(AuditAction.PURGE, requested_by, identity, reference_to(schedule))
    return removed
