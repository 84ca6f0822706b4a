"""Endpoints: dead letters, a further attempt for them, and clearing the list."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.tokens import FILES_RIGHT
from admin_api.auth.visibility import sees_all, visible
from admin_api.dependencies import AttemptsDep, AuditDep, CallerDep, ClusterDep
from admin_api.errors import RefusedError
from admin_api.paths import SCHEDULER
from admin_api.schemas.common import NoQuery
from admin_api.schemas.dead_letters import (
    Cleared,
    ClearRequest,
    DeadLetters,
    DeadLettersQuery,
    Retried,
    RetryAll,
    RetryThese,
)
from admin_api.schemas.jobs import JobsQuery
from admin_api.services.dead_letter_clearing import clear
from admin_api.services.dead_letters import retry_dead_letters
from admin_api.services.job_lists import select

router = APIRouter()


@router.get(f"{SCHEDULER}/dead-letters", tags=["read"])
async def dead_letters(
    query: Annotated[DeadLettersQuery, Query()], caller: CallerDep, cluster: ClusterDep
) -> DeadLetters:
    """Slots whose newest attempt failed for good."""
    await cluster.leader()  # reads the Lease, and with it what was cleared a moment ago
    snapshot = await cluster.snapshot()
    found = [job for job in snapshot.dead_letters if query.report_type in (None, job.report_type)]
    page = select(found, JobsQuery(limit=query.limit, cursor=query.cursor))
    shown = await visible(caller, page.jobs)
    return DeadLetters(
        dead_letters=shown,
        total=len(found),
        next=page.next,
        cleared_through=snapshot.cleared_through,
        cleared_by=(snapshot.cleared and snapshot.cleared.by) or None,
        cleared_at=snapshot.cleared and snapshot.cleared.at,
    )


@router.post(f"{SCHEDULER}/dead-letters/clear", tags=["act"])
async def clear_all(
    _: NoQuery,
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
    wanted: ClearRequest | None = None,
) -> Cleared:
    """Take the failures of all teams off the list, for everybody: it is one list."""
    if not await sees_all(caller):
        raise RefusedError(
            403,
            f"the dead letters of all teams are one list: {caller.name} may not "
            f"{FILES_RIGHT} in all namespaces. Retry those of your own instead",
        )
    done = await clear(cluster, audit, wanted.through if wanted else None, caller.name)
    return Cleared(cleared=done.count, through=done.through)


@router.post(f"{SCHEDULER}/dead-letters/retry", status_code=202, tags=["act"])
async def retry(
    wanted: RetryThese | RetryAll, _: NoQuery, caller: CallerDep, attempts: AttemptsDep
) -> Retried:
    """A further attempt for each; where one is under way, that one."""
    found = await retry_dead_letters(attempts, wanted, caller.name)
    return found.model_copy(update={"jobs": await visible(caller, found.jobs)})
