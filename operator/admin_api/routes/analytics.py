"""Endpoints: failures and run times over a period."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.auth.tokens import FILES_RIGHT
from admin_api.auth.visibility import sees_all
from admin_api.dependencies import AnalyticsDep, CallerDep
from admin_api.paths import SCHEDULER
from admin_api.schemas.analytics import FailureAnalytics, PerformanceAnalytics, PeriodQuery

router = APIRouter()


@router.get(f"{SCHEDULER}/analytics/failures", tags=["read"])
async def failures(
    query: Annotated[PeriodQuery, Query()], caller: CallerDep, analytics: AnalyticsDep
) -> FailureAnalytics:
    """When, of which type and why runs failed; at most half a minute old."""
    found = await analytics.failures(query.period)
    return found if await sees_all(caller) else without_messages(found)


@router.get(f"{SCHEDULER}/analytics/performance", tags=["read"])
async def performance(
    query: Annotated[PeriodQuery, Query()], analytics: AnalyticsDep
) -> PerformanceAnalytics:
    """How long runs took; at most half a minute old."""
    return await analytics.performance(query.period)


def without_messages(found: FailureAnalytics) -> FailureAnalytics:
    """For a caller who may not read the reports of all teams."""
    note = f"common_error_patterns: not shown: needs {FILES_RIGHT} in all namespaces"
    return found.model_copy(
        update={"common_error_patterns": [], "degraded": [*found.degraded, note]}
    )
