"""Cancelling a backfill: its ReportBackfill is deleted.

The operator then removes its runs that wait; those that run go on and are recorded, and what it has
made stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from admin_api.errors import RefusedError
from admin_api.schemas.backfills import Backfill, CancelledBackfill
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.backfill_requests import describe
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import JOBS
from report_operator.api.v1alpha1.backfill import KIND
from report_operator.api.v1alpha1.resource import API_VERSION, SpecError
from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time
from report_runner.contract.words import counted


async def plan_cancelling(
    cluster: Cluster, namespace: str, name: str
) -> tuple[Backfill, CancelledBackfill]:
    """The backfill, and what becomes of its runs if it is cancelled. Raises RefusedError."""
    uid, backfill = await _find(cluster, namespace, name)
    snapshot = await cluster.snapshot(fresh=(JOBS,))
    return backfill, _plan(uid, backfill, snapshot.runs)


async def cancel(
    cluster: Cluster, audit: Audit, namespace: str, name: str, requested_by: str
) -> CancelledBackfill:
    """Delete it. Raises RefusedError, and what Cluster raises."""
    uid, backfill = await _find(cluster, namespace, name)
    planned = _plan(uid, backfill, (await cluster.snapshot(fresh=(JOBS,))).runs)
    try:
        if not await cluster.delete_backfill(namespace, name, uid):
            raise _gone(namespace, name)
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        raise RefusedError(
            403,
            f"the admin API may not delete it (operatorPolicy of the chart is off, or refuses it): "
            f"kubectl -n {namespace} delete reportbackfill {name}",
        ) from error
    about = ObjectReference(API_VERSION, KIND, namespace, name, uid)
    await audit.record(AuditAction.CANCEL, requested_by, f"{namespace}/{name}", about)
    return planned.model_copy(update={"dry_run": False})


async def _find(cluster: Cluster, namespace: str, name: str) -> tuple[str, Backfill]:
    """Its uid, and the backfill."""
    body = await cluster.find_backfill(namespace, name)
    if body is None or "deletionTimestamp" in body["metadata"]:
        raise _gone(namespace, name)
    try:
        backfill = describe(body)
    except SpecError as error:
        raise RefusedError(
            409, f"{error}: kubectl -n {namespace} delete reportbackfill {name}"
        ) from error
    if backfill.completed_at is not None:
        ended = format_time(backfill.completed_at)
        raise RefusedError(409, f"{namespace}/{name} ended {ended}: there is nothing to cancel")
    return body["metadata"]["uid"], backfill


def _gone(namespace: str, name: str) -> RefusedError:
    return RefusedError(
        404, f"there is no ReportBackfill {namespace}/{name}: was it cancelled before?"
    )


def _plan(uid: str, backfill: Backfill, runs: Iterable[Run]) -> CancelledBackfill:
    its = [
        run
        for run in runs
        if run.backfill_uid == uid and run.namespace == backfill.namespace and not run.finished
    ]
    removed = [run.identity.id for run in its if run.suspended]
    going_on = [run.identity.id for run in its if not run.suspended]
    return CancelledBackfill(
        namespace=backfill.namespace,
        name=backfill.name,
        progress=backfill.progress,
        removed=removed,
        going_on=going_on,
        dry_run=True,
        message=f"{counted(len(removed), 'waiting run')} removed, no further ones are made; "
        f"{counted(len(going_on), 'run')} under way "
        f"{'goes' if len(going_on) == 1 else 'go'} on and will be recorded; what it has made stays",
    )
