"""The endpoints: each gathers, asks a pure function, and answers or acts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import aiohttp
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from admin_api import actions
from admin_api.access import Guard
from admin_api.actions import RefusedError
from admin_api.cluster import Cluster, Leader, Snapshot
from admin_api.jobs import CursorError, Schedule, job_id, measure, select
from admin_api.model import (
    Accepted,
    Check,
    Cleanup,
    CleanupRequest,
    GenerateRequest,
    Health,
    Job,
    JobDetail,
    Jobs,
    JobsQuery,
    Nothing,
    PerformanceMetrics,
    Problem,
    SchedulerState,
    SchedulerStatus,
    ShutdownQuery,
)
from admin_api.tokens import Tokens
from report_operator.adapters.kube import ApiError
from report_operator.api.v1alpha1.status import Health as ScheduleHealth
from report_operator.domain.attempts import Attempt

logger = logging.getLogger(__name__)

SCHEDULER = "/api/admin/scheduler"
REPORTS = "/api/admin/reports"
PROBLEM = "application/problem+json"
SILENT_AFTER = 3  # lease durations without a renewal
UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)

None_ = Annotated[Nothing, Query()]
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "content": {PROBLEM: {}}}
    for code in (401, 403, 404, 409, 413, 421, 422, 503)
}


def make_app(
    cluster: Cluster,
    clock: Callable[[], datetime],
    exposition: Callable[[], Awaitable[str]],
    tokens: Tokens | None,
) -> FastAPI:
    """`exposition` gives the operator's metrics as Prometheus text; see Guard for `tokens`."""
    app = FastAPI(
        title="Report scheduler admin API",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        responses=ERRORS,
    )
    app.add_middleware(Guard, tokens=tokens)
    _add_errors(app)
    _add_reading(app, cluster, clock, exposition)
    _add_acting(app, cluster, clock)
    return app


def _add_reading(
    app: FastAPI,
    cluster: Cluster,
    clock: Callable[[], datetime],
    exposition: Callable[[], Awaitable[str]],
) -> None:
    @app.get(f"{SCHEDULER}/status", tags=["read"])
    async def status(_: None_) -> SchedulerStatus:
        """How the scheduler is, and what is degraded."""
        leader, snapshot = await asyncio.gather(cluster.leader(), cluster.snapshot())
        return describe_status(leader, snapshot, clock())

    @app.get(f"{SCHEDULER}/jobs", tags=["read"])
    async def jobs(query: Annotated[JobsQuery, Query()]) -> Jobs:
        """Runs, newest first."""
        return select((await cluster.snapshot()).jobs, query)

    @app.get(f"{SCHEDULER}/jobs/{{identity}}", tags=["read"])
    async def job(identity: str, _: None_) -> JobDetail:
        """One run, with the last lines of its log while its pod exists."""
        snapshot = await cluster.snapshot()
        found = find_job(snapshot, identity)
        return JobDetail(
            **found.model_dump(),
            log=await cluster.log_tail(found, snapshot.runs),
            log_command=f"kubectl -n {found.namespace} logs job/{found.job}",
        )

    @app.get(f"{SCHEDULER}/health", tags=["read"], response_model=Health)
    async def health(_: None_) -> Response:
        """Each dependency, with its latency."""
        return _health(await _checks(cluster, clock()))

    @app.get(
        f"{SCHEDULER}/metrics",
        tags=["read"],
        response_model=PerformanceMetrics,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def metrics(request: Request, _: None_) -> Response:
        """JSON; the operator's metrics as Prometheus text for a client that asks for text."""
        accepted = request.headers.get("accept", "")
        if "openmetrics" in accepted or accepted.startswith("text/plain"):
            return PlainTextResponse(await exposition())
        found = measure((await cluster.snapshot()).jobs, clock())
        return JSONResponse(found.model_dump(mode="json"))


def _add_acting(app: FastAPI, cluster: Cluster, clock: Callable[[], datetime]) -> None:
    @app.post(f"{SCHEDULER}/jobs/{{identity}}/retry", status_code=202, tags=["act"])
    async def retry(identity: str, request: Request, _: None_) -> Job:
        """A further attempt for a failed run's slot; asked twice, it is the same one."""
        snapshot = await cluster.snapshot(fresh=True)
        found = find_job(snapshot, identity)
        schedule = _schedule_of(snapshot, found)
        decision = actions.retry(found, snapshot.jobs)
        return await _carry_out(cluster, schedule, decision, _caller(request))

    @app.post(f"{REPORTS}/generate", status_code=202, tags=["act"])
    async def generate(wanted: GenerateRequest, request: Request, _: None_) -> Job:
        """An attempt for a date, with the schedule's own definition."""
        snapshot = await cluster.snapshot(fresh=True)
        schedule = actions.choose(wanted, snapshot.schedules)
        decision = actions.generate(wanted, schedule, snapshot.jobs, clock())
        return await _carry_out(cluster, schedule, decision, _caller(request))

    @app.post(f"{SCHEDULER}/queue/cleanup", tags=["act"])
    async def cleanup(wanted: CleanupRequest, request: Request, _: None_) -> Cleanup:
        """Give up runs that wait for longer; the operator records and removes each."""
        snapshot = await cluster.snapshot(fresh=True)
        removed: list[str] = []
        for run in actions.to_purge(snapshot.runs, wanted.older_than_hours, clock()):
            try:
                await cluster.purge(run, wanted.older_than_hours)
            except ApiError as error:
                if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                    continue  # it was admitted or removed meanwhile
                raise
            removed.append(job_id(run.namespace, run.schedule, run.slot, run.attempt))
        _audit("cleanup", _caller(request), f"{len(removed)} runs")
        return Cleanup(removed=len(removed), jobs=removed)

    @app.post(f"{SCHEDULER}/shutdown", status_code=202, tags=["act"])
    async def shutdown(query: Annotated[ShutdownQuery, Query()], request: Request) -> Accepted:
        """The leading operator finishes its writes and exits; its pod starts it again."""
        if not query.graceful:
            raise RefusedError(
                422, "graceful: only true is offered; delete the pod for anything harder"
            )
        leader = await cluster.leader()
        if leader.holder is None:
            raise RefusedError(409, "no operator leads just now: there is nobody to stop")
        await cluster.drain(leader.holder)
        _audit("shutdown", _caller(request), leader.holder)
        return Accepted(message=f"{leader.holder} stops; runs in flight go on")


async def _carry_out(
    cluster: Cluster, schedule: Schedule, decision: Attempt | Job, asked_by: str
) -> Job:
    if isinstance(decision, Job):
        return decision
    await cluster.make(schedule, decision, asked_by)
    identity = job_id(schedule.namespace, schedule.name, decision.slot, decision.number)
    _audit("attempt", asked_by, identity)
    return find_job(await cluster.snapshot(fresh=True), identity)


def find_job(snapshot: Snapshot, identity: str) -> Job:
    """By its id; the newest where two have it. Raises RefusedError."""
    found = next((job for job in snapshot.jobs if job.id == identity), None)
    if found is None:
        raise RefusedError(
            404, f"no job {identity} is known: GET {SCHEDULER}/jobs lists those that are"
        )
    return found


def _schedule_of(snapshot: Snapshot, job: Job) -> Schedule:
    return next(
        s for s in snapshot.schedules if (s.namespace, s.name) == (job.namespace, job.schedule)
    )


def describe_status(leader: Leader, snapshot: Snapshot, now: datetime) -> SchedulerStatus:
    """The scheduler as a whole."""
    statuses = [schedule.status for schedule in snapshot.schedules]
    not_ready = sum(
        any(c.type == "Ready" and c.status == "False" for c in status.conditions)
        for status in statuses
    )
    delayed = sum(status.delay is not None for status in statuses)
    degraded = []
    if not_ready:
        degraded.append(f"{not_ready} ReportSchedules are not Ready")
    if delayed:
        degraded.append(f"{delayed} ReportSchedules are late")
    state = SchedulerState.DEGRADED if degraded else SchedulerState.HEALTHY
    if leader.draining:
        state = SchedulerState.DRAINING
    elif not _leads(leader, now):
        state = SchedulerState.DOWN
    since = leader.acquired_at
    return SchedulerStatus(
        status=state,
        uptime=int((now - since).total_seconds()) if since and leader.holder else None,
        active_jobs=sum(status.active for status in statuses),
        queue_depth=sum(status.queued for status in statuses),
        last_heartbeat=leader.renewed_at,
        degraded=degraded,
        schedules=len(statuses),
        failing=sum(status.health is ScheduleHealth.FAILING for status in statuses),
        delayed=delayed,
    )


def _leads(leader: Leader, now: datetime) -> bool:
    patience = timedelta(seconds=leader.seconds * SILENT_AFTER)
    return (
        leader.holder is not None
        and leader.renewed_at is not None
        and now - leader.renewed_at < patience
    )


async def _checks(cluster: Cluster, now: datetime) -> list[Check]:
    start = time.perf_counter()
    leader: Leader | None = None
    reason = ""
    try:
        leader = await cluster.leader()
    except (ApiError, *UNREACHABLE) as error:
        reason = str(error) or type(error).__name__
    latency = round(1000 * (time.perf_counter() - start), 1)
    found = [Check(name="kubernetes", ok=not reason, latency_ms=latency, reason=reason)]
    if leader is not None:
        leads = _leads(leader, now)
        said = "" if leads else "no operator has renewed its lease lately"
        found.append(Check(name="operator", ok=leads, latency_ms=latency, reason=said))
    return found


def _health(checks: list[Check]) -> Response:
    well = all(check.ok for check in checks)
    state = SchedulerState.HEALTHY if well else SchedulerState.DOWN
    answer = Health(status=state, checks=checks)
    return JSONResponse(answer.model_dump(mode="json"), 200 if well else 503)


def _caller(request: Request) -> str:
    """A user by token; over loopback the name that the caller gives itself, for the record."""
    caller: str = request.state.caller
    return caller


def _audit(action: str, who: str, what: str) -> None:
    logger.info("audit: %s by %s: %s", action, who, what)


def _add_errors(app: FastAPI) -> None:
    def problem(request: Request, status: int, detail: str) -> JSONResponse:
        title = HTTPStatus(status).phrase
        body = Problem(title=title, status=status, detail=detail, instance=request.url.path)
        return JSONResponse(body.model_dump(), status, media_type=PROBLEM)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return problem(request, error.status, error.message)

    @app.exception_handler(CursorError)
    async def cursor(request: Request, _: CursorError) -> JSONResponse:
        return problem(request, 422, "cursor: take it from `next` of the page before")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(
            f"{'.'.join(str(step) for step in item['loc'][1:]) or item['loc'][0]}: {item['msg']}"
            for item in error.errors()[:10]
        )
        return problem(request, 422, told)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(request, error.status_code, str(error.detail))

    async def unreachable(request: Request, error: Exception) -> JSONResponse:
        logger.warning("%s: %s", request.url.path, error or type(error).__name__)
        return problem(request, 503, f"the Kubernetes API does not serve: {error}")

    for kind in (ApiError, *UNREACHABLE):
        app.add_exception_handler(kind, unreachable)
