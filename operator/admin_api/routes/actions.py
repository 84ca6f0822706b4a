"""Endpoints that act: retry, generate, clean up the queue, shut down.

Each decides on a list read for the request, and records who asked.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.visibility import visible_one
from admin_api.dependencies import AttemptsDep, AuditDep, CallerDep, ClusterDep, NowDep
from admin_api.errors import RefusedError
from admin_api.paths import REPORTS, SCHEDULER
from admin_api.schemas.attempts import Attempted, GenerateRequest
from admin_api.schemas.common import NoQuery
from admin_api.schemas.jobs import Job
from admin_api.schemas.queue import Cleanup, CleanupRequest
from admin_api.schemas.status import Accepted, ShutdownQuery
from admin_api.services.audit import AuditAction, ObjectReference
from admin_api.services.cleanup import purge_queue
from admin_api.services.idempotency import IdempotencyKey

router = APIRouter()


@router.post(f"{SCHEDULER}/jobs/{{identity}}/retry", status_code=202, tags=["act"])
async def retry(
    identity: str,
    _: NoQuery,
    caller: CallerDep,
    attempts: AttemptsDep,
    key: IdempotencyKey = None,
) -> Job:
    """A further attempt for a failed run's slot; a repeated request returns the same one."""
    return await visible_one(caller, await attempts.retry(identity, caller.name, key))


@router.post(f"{REPORTS}/generate", status_code=202, tags=["act"])
async def generate(
    wanted: GenerateRequest,
    _: NoQuery,
    caller: CallerDep,
    attempts: AttemptsDep,
    key: IdempotencyKey = None,
) -> Attempted:
    """An attempt for a date, with the schedule's definition.

    Asked again while it waits, a higher priority moves it forward in the queue.
    """
    return await visible_one(caller, await attempts.generate(wanted, caller.name, key))


@router.post(f"{SCHEDULER}/queue/cleanup", tags=["act"])
async def cleanup(
    wanted: CleanupRequest,
    _: NoQuery,
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
    now: NowDep,
) -> Cleanup:
    """Give up runs that have waited for longer; the operator records and removes them.

    With `ids` of a dry run it gives up what that has shown, as far as it still waits.
    """
    return await purge_queue(cluster, audit, wanted, caller.name, now)


@router.post(f"{SCHEDULER}/shutdown", status_code=202, tags=["act"])
async def shutdown(
    query: Annotated[ShutdownQuery, Query()],
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
) -> Accepted:
    """The leading operator finishes its writes and exits; its pod starts it again."""
    if not query.graceful:
        raise RefusedError(
            422, "graceful: only true is offered; delete the pod for anything harder"
        )
    leader = await cluster.leader()
    if leader.holder is None:
        raise RefusedError(409, "no operator leads just now: there is nothing to stop")
    await cluster.request_shutdown(leader.holder)
    lease = ObjectReference(
        "coordination.k8s.io/v1", "Lease", cluster.namespace, cluster.lease_name, leader.uid
    )
    await audit.record(AuditAction.SHUTDOWN, caller.name, leader.holder, lease)
    return Accepted(message=f"{leader.holder} stops; active runs continue")
