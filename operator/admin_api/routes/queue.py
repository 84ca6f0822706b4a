"""Endpoint: the runs that wait for admission."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.dependencies import ClusterDep, QueueDep
from admin_api.paths import SCHEDULER
from admin_api.schemas.queue import QueuePage, QueueQuery
from admin_api.services.queue import page_of

router = APIRouter()


@router.get(f"{SCHEDULER}/queue", tags=["read"])
async def queue(
    query: Annotated[QueueQuery, Query()], cluster: ClusterDep, view: QueueDep
) -> QueuePage:
    """Waiting runs in the order of admission, with what holds each back and its likely start."""
    return page_of(view, await cluster.snapshot(), query)
