"""The endpoints that act: each decides purely, on a fresh view, and leaves word who asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query, Request

from admin_api import actions
from admin_api.cluster import Cluster, Snapshot
from admin_api.errors import RefusedError
from admin_api.jobs import Schedule, find_job
from admin_api.model import (
    REPORTS,
    SCHEDULER,
    Accepted,
    Cleanup,
    CleanupRequest,
    GenerateRequest,
    Job,
    NoQuery,
    ShutdownQuery,
)
from report_operator.adapters.kube import ApiError
from report_operator.domain.attempts import Attempt
from report_operator.domain.names import job_id

logger = logging.getLogger(__name__)


def add(app: FastAPI, cluster: Cluster, clock: Callable[[], datetime]) -> None:
    """Attach them."""

    @app.post(f"{SCHEDULER}/jobs/{{identity}}/retry", status_code=202, tags=["act"])
    async def retry(identity: str, request: Request, _: NoQuery) -> Job:
        """A further attempt for a failed run's slot; asked twice, it is the same one."""
        snapshot = await cluster.snapshot(fresh=True)
        found = find_job(snapshot.jobs, identity)
        schedule = _schedule_of(snapshot, found)
        decision = actions.retry(found, snapshot.jobs)
        return await _carry_out(cluster, schedule, decision, _caller(request))

    @app.post(f"{REPORTS}/generate", status_code=202, tags=["act"])
    async def generate(wanted: GenerateRequest, request: Request, _: NoQuery) -> Job:
        """An attempt for a date, with the schedule's own definition."""
        snapshot = await cluster.snapshot(fresh=True)
        schedule = actions.choose(wanted, snapshot.schedules)
        decision = actions.generate(wanted, schedule, snapshot.jobs, clock())
        return await _carry_out(cluster, schedule, decision, _caller(request))

    @app.post(f"{SCHEDULER}/queue/cleanup", tags=["act"])
    async def cleanup(wanted: CleanupRequest, request: Request, _: NoQuery) -> Cleanup:
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
    return find_job((await cluster.snapshot(fresh=True)).jobs, identity)


def _schedule_of(snapshot: Snapshot, job: Job) -> Schedule:
    return next(
        s for s in snapshot.schedules if (s.namespace, s.name) == (job.namespace, job.schedule)
    )


def _caller(request: Request) -> str:
    """A user by token; over loopback the name that the caller gives itself, for the record."""
    caller: str = request.state.caller
    return caller


def _audit(action: str, who: str, what: str) -> None:
    logger.info("audit: %s by %s: %s", action, who, what)
