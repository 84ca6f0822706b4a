"""The endpoints that tell: each gathers, asks a pure function, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from admin_api.auth.visibility import visible, visible_one
from admin_api.errors import PROBLEM, UNREACHABLE
from admin_api.routes.files import FileServers
from admin_api.routes.queue import QueueView
from admin_api.schemas.scheduler import (
    SCHEDULER,
    Check,
    DatabaseHealth,
    Delivery,
    Health,
    Job,
    JobDetail,
    Jobs,
    JobsQuery,
    NoQuery,
    OutputFile,
    PerformanceMetrics,
    SchedulerState,
    SchedulerStatus,
    SlotAttempt,
)
from admin_api.services.attempt_rules import attempts_of
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.dependencies import Dependencies, timed
from admin_api.services.history_client import NOT_CONFIGURED, HistoryClient
from admin_api.services.jobs import METRICS_SPAN, job_of_record, measure, merge_jobs, recent, select
from admin_api.services.output_files import with_states
from report_operator.adapters.postgres.reader import DatabaseState, StoredRun
from report_operator.api.v1alpha1.status import ScheduleHealth
from report_operator.domain.statistics import totals

SILENT_AFTER = 3  # lease durations without a renewal


def add(
    app: FastAPI,
    cluster: Cluster,
    past: HistoryClient,
    clock: Callable[[], datetime],
    exposition: Callable[[], Awaitable[str]],
    dependencies: Dependencies,
    queue: QueueView,
    servers: FileServers,
) -> None:
    """Attach them. `exposition` gives the operator's metrics as Prometheus text."""

    @app.get(f"{SCHEDULER}/status", tags=["read"])
    async def status(_: NoQuery) -> SchedulerStatus:
        """How the scheduler is, and what is degraded."""
        leader, snapshot, checks = await asyncio.gather(
            cluster.leader(), cluster.snapshot(), dependencies.checks()
        )
        trouble = await queue.trouble(queue.queue(snapshot))
        return describe_status(leader, snapshot, checks, trouble)

    @app.get(f"{SCHEDULER}/jobs", tags=["read"], response_model=Jobs)
    async def jobs(query: Annotated[JobsQuery, Query()], request: Request) -> Response:
        """Runs, newest first: those that history has, and those under way."""
        page = await list_jobs(cluster, past, query)
        page = page.model_copy(update={"jobs": await visible(request, page.jobs)})
        # Made by pydantic at once: FastAPI would go through every job in Python.
        return Response(page.model_dump_json(), media_type="application/json")

    @app.get(f"{SCHEDULER}/jobs/{{identity}}", tags=["read"])
    async def job(identity: str, request: Request, _: NoQuery) -> JobDetail:
        """One run, with the last lines of its log: its pod's, or of a failed run those kept."""
        found = await visible_one(request, await one_job(cluster, past, identity))
        return await with_states(found, servers.exists)

    @app.get(f"{SCHEDULER}/health", tags=["read"], responses=_unwell(Health), response_model=Health)
    async def health(_: NoQuery) -> Response:
        """Each dependency, with its latency."""
        own, others = await asyncio.gather(_checks(cluster), dependencies.checks())
        return _health(own, others)

    @app.get(
        f"{SCHEDULER}/health/database",
        tags=["read"],
        responses=_unwell(DatabaseHealth),
        response_model=DatabaseHealth,
    )
    async def database(_: NoQuery) -> Response:
        """History's database: a connection made now, and what the server says of itself."""
        state = await past.reader.check() if past.reader else DatabaseState(NOT_CONFIGURED, 0.0)
        answer = describe_database(state)
        return JSONResponse(answer.model_dump(mode="json"), 200 if answer.ok else 503)

    @app.get(
        f"{SCHEDULER}/metrics",
        tags=["read"],
        response_model=PerformanceMetrics,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def metrics(request: Request, _: NoQuery) -> Response:
        """JSON; the operator's metrics as Prometheus text for a client that asks for text."""
        accepted = request.headers.get("accept", "")
        if "openmetrics" in accepted or accepted.startswith("text/plain"):
            return PlainTextResponse(await exposition())
        since = clock() - METRICS_SPAN
        snapshot, (kept, degraded) = await asyncio.gather(
            cluster.snapshot(), past.ask(past.reader.totals(since) if past.reader else None)
        )
        found = measure(kept or totals(recent(snapshot.jobs, since)), snapshot.jobs, degraded)
        return JSONResponse(found.model_dump(mode="json"))


async def list_jobs(cluster: Cluster, past: HistoryClient, query: JobsQuery) -> Jobs:
    """A page of runs. Raises RefusedError, and what Cluster raises."""
    snapshot, (kept, degraded) = await asyncio.gather(cluster.snapshot(), past.page(query))
    return select(snapshot.jobs, query, kept, degraded)


async def one_job(cluster: Cluster, past: HistoryClient, identity: str) -> JobDetail:
    """One run. Raises RefusedError, and what Cluster raises."""
    snapshot, (kept, degraded) = await asyncio.gather(cluster.snapshot(), past.find(identity))
    live = next((job for job in snapshot.jobs if job.id == identity), None)
    found = job_of_record(kept.record) if kept else live
    if found is None:
        raise past.not_found(degraded, identity)
    uid = kept.record.schedule_uid if kept else snapshot.uid_of(found)
    known = merge_jobs(snapshot.jobs, await past.attempts(uid, found.slot))
    detail = detail_of(found, await cluster.log_tail(found, snapshot.runs)).model_copy(
        update={
            "attempts": [
                SlotAttempt(**job.model_dump())
                for job in attempts_of(found.namespace, found.schedule, found.slot, known)[::-1]
            ],
            "degraded": degraded,
        }
    )
    return detail if kept is None else with_record(detail, kept)


def detail_of(job: Job, log: list[str]) -> JobDetail:
    """A run with the last lines of its log."""
    return JobDetail(
        **job.model_dump(), log=log, log_command=f"kubectl -n {job.namespace} logs job/{job.job}"
    )


def with_record(detail: JobDetail, kept: StoredRun) -> JobDetail:
    """With what history adds; the log is the one kept where the pod has none."""
    record = kept.record
    return detail.model_copy(
        update={
            "pages": record.pages,
            "pods": record.pods,
            "files": [OutputFile(**asdict(output)) for output in record.outputs],
            "deliveries": [Delivery(**item.model_dump()) for item in kept.deliveries],
            "log": detail.log or (kept.log or "").splitlines(),
        }
    )


def describe_database(state: DatabaseState) -> DatabaseHealth:
    """As a check of its own."""
    return DatabaseHealth(
        status=SchedulerState.DOWN if state.reason else SchedulerState.HEALTHY,
        ok=not state.reason,
        latency_ms=state.latency_ms,
        reason=state.reason,
        server_version=state.server_version,
        connections=dict(state.connections),
        pool=dict(state.pool),
    )


def describe_status(
    leader: Leader, snapshot: Snapshot, dependencies: Sequence[Check], admission_trouble: str = ""
) -> SchedulerStatus:
    """The scheduler as a whole."""
    statuses = [schedule.status for schedule in snapshot.schedules]
    not_ready = sum(
        any(c.type == "Ready" and c.status == "False" for c in status.conditions)
        for status in statuses
    )
    delayed = sum(status.delay is not None for status in statuses)
    degraded = [f"{check.name}: {check.reason}" for check in dependencies if not check.ok]
    if admission_trouble:
        degraded.append(admission_trouble)
    if not_ready:
        degraded.append(f"not Ready: {not_ready} of {len(statuses)} ReportSchedules")
    if delayed:
        degraded.append(f"late: {delayed} of {len(statuses)} ReportSchedules")
    degraded += [f"skipped: {told}" for told in snapshot.skipped]
    state = SchedulerState.DEGRADED if degraded else SchedulerState.HEALTHY
    if leader.stopping:
        state = SchedulerState.STOPPING
    elif not _leads(leader):
        state = SchedulerState.DOWN
    return SchedulerStatus(
        status=state,
        uptime=_uptime(leader),
        active_jobs=sum(status.active for status in statuses),
        queue_depth=sum(status.queued for status in statuses),
        last_heartbeat=leader.renewed_at,
        degraded=degraded,
        schedules=len(statuses),
        failing=sum(status.health is ScheduleHealth.FAILING for status in statuses),
        delayed=delayed,
    )


def _uptime(leader: Leader) -> int | None:
    if leader.holder is None or leader.acquired_at is None or leader.renewed_at is None:
        return None
    return int((leader.renewed_at - leader.acquired_at).total_seconds() + leader.silent)


def _leads(leader: Leader) -> bool:
    return leader.holder is not None and leader.silent < leader.seconds * SILENT_AFTER


async def _checks(cluster: Cluster) -> list[Check]:
    check, leader = await timed("kubernetes", cluster.leader, UNREACHABLE)
    if leader is None:
        return [check]
    leads = _leads(leader)
    said = "" if leads else "no operator has renewed its lease lately"
    return [check, check.model_copy(update={"name": "operator", "ok": leads, "reason": said})]


def _unwell(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Of an endpoint that says with 503 what else it says with 200."""
    return {503: {"model": model, "content": {PROBLEM: {}}}}


def _health(own: list[Check], others: list[Check]) -> Response:
    """Without what `others` tell of, runs go on."""
    well = all(check.ok for check in (*own, *others))
    state = SchedulerState.HEALTHY if well else SchedulerState.DEGRADED
    if not all(check.ok for check in own):
        state = SchedulerState.DOWN
    answer = Health(status=state, checks=[*own, *others])
    return JSONResponse(answer.model_dump(mode="json"), 200 if well else 503)
