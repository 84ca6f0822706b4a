"""Endpoints: dead letters, and a further attempt for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.visibility import visible
from admin_api.dependencies import AttemptsDep, CallerDep, ClusterDep
from admin_api.paths import SCHEDULER
from admin_api.schemas.common import NoQuery
from admin_api.schemas.dead_letters import (
    DeadLetters,
    DeadLettersQuery,
    Retried,
    RetryAll,
    RetryThese,
)
from admin_api.schemas.jobs import JobsQuery
from admin_api.services.dead_letters import retry_dead_letters
from admin_api.services.jobs import select

router = APIRouter()


@router.get(f"{SCHEDULER}/dead-letters", tags=["read"])
async def dead_letters(
    query: Annotated[DeadLettersQuery, Query()], caller: CallerDep, cluster: ClusterDep
) -> DeadLetters:
    """Slots whose newest attempt failed for good."""
    found = [
        job
        for job in (await cluster.snapshot()).dead_letters
        if query.report_type in (None, job.report_type)
    ]
    page = select(found, JobsQuery(limit=query.limit, cursor=query.cursor))
    shown = await visible(caller, page.jobs)
    return DeadLetters(dead_letters=shown, total=len(found), next=page.next)


@router.post(f"{SCHEDULER}/dead-letters/retry", status_code=202, tags=["act"])
async def retry(
    wanted: RetryThese | RetryAll, _: NoQuery, caller: CallerDep, attempts: AttemptsDep
) -> Retried:
    """A further attempt for each; where one is under way, that one."""
    found = await retry_dead_letters(attempts, wanted, caller.name)
    return found.model_copy(update={"jobs": await visible(caller, found.jobs)})
