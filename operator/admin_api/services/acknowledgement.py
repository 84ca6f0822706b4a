"""A person's word, by the API, that a failed slot needs no report any more."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from admin_api.errors import RefusedError
from admin_api.services.attempts import reference_to
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.cluster import Cluster
from admin_api.services.explain import standing_run
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.schedules import find_schedule
from report_operator.adapters.kube.client import ApiError
from report_operator.domain.names import ANNOTATION_ACKNOWLEDGED
from report_operator.domain.times import format_time


async def acknowledge(
    cluster: Cluster, audit: Audit, name: tuple[str, str], through: datetime, requested_by: str
) -> datetime:
    """Write the annotation; the slot up to which failures need no report.

    `name` is namespace and name. Raises RefusedError, and what Cluster raises.
    """
    schedule = find_schedule((await cluster.refresh(name)).schedules, *name)
    if is_acknowledged(schedule, through):
        return through
    try:
        await cluster.acknowledge(schedule, through)
    except ApiError as error:
        if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
            gone = f"the ReportSchedule {'/'.join(name)} is gone, or another has its name"
            raise RefusedError(409, gone) from error
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        raise RefusedError(
            403,
            f"the admin API may not write it (operatorPolicy of the chart is off, or refuses it): "
            f"kubectl -n {name[0]} annotate reportschedule {name[1]} --overwrite "
            f"{ANNOTATION_ACKNOWLEDGED}={format_time(through)}",
        ) from error
    target = f"{'/'.join(name)} through {format_time(through)}"
    await audit.record(AuditAction.ACKNOWLEDGE, requested_by, target, reference_to(schedule))
    return through


def is_acknowledged(schedule: ScheduleSummary, through: datetime) -> bool:
    """Whether that was said before. Raises RefusedError where it would be about nothing.

    `through` has to be the slot whose failure stands: a failure that came meanwhile, which the
    caller has not seen, is not silenced with it.
    """
    done = schedule.status.acknowledged_through
    if done is not None and done >= through:
        return True
    name = f"{schedule.namespace}/{schedule.name}"
    run = standing_run(schedule)
    if run is None:
        raise RefusedError(409, f"{name}: no failure stands, there is nothing to acknowledge")
    if run.slot != through:
        raise RefusedError(
            409,
            f"through: the failure that stands is of slot {format_time(run.slot)}: look at it, and "
            "name that slot",
        )
    return False
