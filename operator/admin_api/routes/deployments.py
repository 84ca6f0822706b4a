"""Endpoint: recent roll-outs."""

from __future__ import annotations

from fastapi import APIRouter

from admin_api.dependencies import ClusterDep, HistoryDep
from admin_api.paths import DEPLOYMENTS
from admin_api.schemas.common import NoQuery
from admin_api.schemas.deployments import Deployment
from admin_api.services.deployments import recent_deployments

router = APIRouter()


@router.get(f"{DEPLOYMENTS}/recent", tags=["read"])
async def deployments(_: NoQuery, cluster: ClusterDep, history: HistoryDep) -> list[Deployment]:
    """Roll-outs of the scheduler, newest first, at most 50."""
    return await recent_deployments(cluster, history)
