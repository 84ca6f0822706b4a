"""Endpoints: make ReportBackfills, and list them with their progress."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query

from admin_api.dependencies import BackfillsDep, CallerDep
from admin_api.paths import BACKFILLS, REPORTS
from admin_api.schemas.backfills import (
    BackfillRequest,
    Backfills,
    BackfillsQuery,
    CancelBackfill,
    CancelledBackfill,
    RequestedBackfills,
)
from admin_api.schemas.common import NoQuery

OccasionKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="The same request is the same backfill within a day; with a key, for ever.",
    ),
]

ObjectName = Annotated[str, Path(max_length=253)]

router = APIRouter()


@router.post(f"{REPORTS}/backfill", status_code=202, tags=["act"])
async def backfill(
    wanted: BackfillRequest,
    _: NoQuery,
    caller: CallerDep,
    service: BackfillsDep,
    key: OccasionKey = None,
) -> RequestedBackfills:
    """A ReportBackfill in each namespace concerned; repeated on the same day, the same ones."""
    return await service.make(wanted, caller.name, key)


@router.get(BACKFILLS, tags=["read"])
@router.get(f"{REPORTS}/backfills", tags=["read"])
async def backfills(query: Annotated[BackfillsQuery, Query()], service: BackfillsDep) -> Backfills:
    """ReportBackfills, newest first, with their progress."""
    return await service.list_newest(query)


@router.post(f"{BACKFILLS}/{{namespace}}/{{name}}/cancel", tags=["act"])
async def cancel(
    namespace: ObjectName,
    name: ObjectName,
    _: NoQuery,
    caller: CallerDep,
    service: BackfillsDep,
    wanted: CancelBackfill | None = None,
) -> CancelledBackfill:
    """Delete the ReportBackfill: its waiting runs are removed, those under way go on."""
    if wanted is not None and wanted.dry_run:
        return (await service.plan_cancelling(namespace, name))[1]
    return await service.cancel(namespace, name, caller.name)
