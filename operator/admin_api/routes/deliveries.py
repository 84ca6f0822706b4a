"""Endpoint: deliveries of all runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.visibility import check_recipients
from admin_api.dependencies import CallerDep, HistoryDep
from admin_api.paths import DELIVERIES
from admin_api.schemas.deliveries import Deliveries, DeliveriesQuery
from admin_api.services.deliveries import list_deliveries

router = APIRouter()


@router.get(DELIVERIES, tags=["read"])
async def deliveries(
    query: Annotated[DeliveriesQuery, Query()], caller: CallerDep, history: HistoryDep
) -> Deliveries:
    """Who got which report, and which files are where: newest first, from history.

    403 without `namespace` for a caller who may not read the reports of all namespaces: recipients
    are no business of other teams.
    """
    await check_recipients(caller, query.namespace)
    return await list_deliveries(history, query)
