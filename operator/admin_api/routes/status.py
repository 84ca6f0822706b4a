"""Endpoints: state, health and metrics of the scheduler."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from admin_api.dependencies import (
    BackendsDep,
    ClusterDep,
    ExpositionDep,
    HistoryDep,
    NowDep,
    QueueDep,
)
from admin_api.errors import PROBLEM
from admin_api.paths import SCHEDULER
from admin_api.schemas.common import NoQuery
from admin_api.schemas.status import DatabaseHealth, Health, PerformanceMetrics, SchedulerStatus
from admin_api.services.history_client import NOT_CONFIGURED
from admin_api.services.job_lists import METRICS_SPAN, measure, recent
from admin_api.services.status import (
    check_cluster,
    describe_database,
    describe_health,
    describe_status,
)
from report_operator.adapters.postgres.reader import DatabaseState
from report_operator.domain.statistics import totals

router = APIRouter()


def _unhealthy(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Declares that an endpoint answers the same document with 503 as with 200."""
    return {503: {"model": model, "content": {PROBLEM: {}}}}


def _respond(answer: BaseModel, *, healthy: bool) -> Response:
    status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse(answer.model_dump(mode="json"), status)


@router.get(f"{SCHEDULER}/status", tags=["read"])
async def status(
    _: NoQuery, cluster: ClusterDep, backends: BackendsDep, queue: QueueDep
) -> SchedulerStatus:
    """State of the scheduler, and what is degraded."""
    leader, snapshot, checks = await asyncio.gather(
        cluster.leader(), cluster.snapshot(), backends.checks()
    )
    problem = await queue.problem(queue.queue(snapshot))
    return describe_status(leader, snapshot, checks, problem)


@router.get(
    f"{SCHEDULER}/health", tags=["read"], responses=_unhealthy(Health), response_model=Health
)
async def health(_: NoQuery, cluster: ClusterDep, backends: BackendsDep) -> Response:
    """Each dependency, with its latency."""
    required, optional = await asyncio.gather(check_cluster(cluster), backends.checks())
    answer = describe_health(required, optional)
    return _respond(answer, healthy=all(check.ok for check in answer.checks))


@router.get(
    f"{SCHEDULER}/health/database",
    tags=["read"],
    responses=_unhealthy(DatabaseHealth),
    response_model=DatabaseHealth,
)
async def database(_: NoQuery, history: HistoryDep) -> Response:
    """The history database: a new connection, and the server's own figures."""
    reader = history.reader
    answer = describe_database(
        await reader.check() if reader else DatabaseState(NOT_CONFIGURED, 0.0)
    )
    return _respond(answer, healthy=answer.ok)


@router.get(
    f"{SCHEDULER}/metrics",
    tags=["read"],
    response_model=PerformanceMetrics,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(
    request: Request,
    _: NoQuery,
    cluster: ClusterDep,
    history: HistoryDep,
    exposition: ExpositionDep,
    now: NowDep,
) -> Response:
    """JSON; the operator's metrics as Prometheus text for a client that asks for text."""
    accepted = request.headers.get("accept", "")
    if "openmetrics" in accepted or accepted.startswith("text/plain"):
        return PlainTextResponse(await exposition())
    since, reader = now - METRICS_SPAN, history.reader
    snapshot, (stored, degraded) = await asyncio.gather(
        cluster.snapshot(), history.query(reader.totals(since) if reader else None)
    )
    queued = sum(schedule.status.queued for schedule in snapshot.schedules)
    done = stored or totals(recent(snapshot.jobs, since))
    found = measure(done, snapshot.jobs, queued, degraded)
    return JSONResponse(found.model_dump(mode="json"))
