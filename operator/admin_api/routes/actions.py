"""The endpoints that act: each decides purely, on a fresh view, and leaves word who asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query, Request

from admin_api.auth.visibility import caller_of, visible_one
from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import (
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
from admin_api.services import attempt_rules
from admin_api.services.attempts import AttemptRequest, AttemptService, known_schedule, subject_of
from admin_api.services.audit import AuditAction, ObjectReference
from admin_api.services.cache import Snapshot
from admin_api.services.idempotency import IdempotencyKey
from admin_api.services.jobs import ScheduleSummary, find_job, schedule_of
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import JOBS, SCHEDULES
from report_operator.domain.names import job_id
from report_operator.domain.runs.attempts import Attempt


def add(app: FastAPI, attempts: AttemptService, clock: Callable[[], datetime]) -> None:
    """Attach them."""
    cluster, audit = attempts.cluster, attempts.audit

    @app.post(f"{SCHEDULER}/jobs/{{identity}}/retry", status_code=202, tags=["act"])
    async def retry(identity: str, request: Request, _: NoQuery, key: IdempotencyKey = None) -> Job:
        """A further attempt for a failed run's slot; asked twice, it is the same one."""
        found = await retry_job(attempts, identity, caller(request), key)
        return await visible_one(request, found)

    @app.post(f"{REPORTS}/generate", status_code=202, tags=["act"])
    async def generate(
        wanted: GenerateRequest, request: Request, _: NoQuery, key: IdempotencyKey = None
    ) -> Job:
        """An attempt for a date, with the schedule's own definition."""
        found = await generate_report(attempts, wanted, clock(), caller(request), key)
        return await visible_one(request, found)

    @app.post(f"{SCHEDULER}/queue/cleanup", tags=["act"])
    async def cleanup(wanted: CleanupRequest, request: Request, _: NoQuery) -> Cleanup:
        """Give up runs that wait for longer; the operator records and removes each."""
        snapshot = await cluster.snapshot(fresh=(JOBS,))
        schedules = {schedule.uid: schedule for schedule in snapshot.schedules}
        removed: list[str] = []
        for run in attempt_rules.to_purge(snapshot.runs, wanted.older_than_hours, clock()):
            try:
                await cluster.purge(run, wanted.older_than_hours)
            except ApiError as error:
                if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                    continue  # it was admitted or removed meanwhile
                raise
            identity = job_id(run.namespace, run.schedule, run.slot, run.attempt)
            removed.append(identity)
            if schedule := schedules.get(run.schedule_uid):
                await audit.tell(AuditAction.PURGE, caller(request), identity, subject_of(schedule))
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
        await cluster.request_shutdown(leader.holder)
        lease = ObjectReference(
            "coordination.k8s.io/v1", "Lease", cluster.namespace, cluster.lease_name, leader.uid
        )
        await audit.tell(AuditAction.SHUTDOWN, caller(request), leader.holder, lease)
        return Accepted(message=f"{leader.holder} stops; runs in flight go on")


async def retry_job(attempts: AttemptService, identity: str, who: str, key: str | None) -> Job:
    """A further attempt for a failed run's slot; see Ask for `key`. Raises as Attempts does."""

    async def about() -> tuple[str, str]:
        return schedule_of(identity)

    def decide(snapshot: Snapshot) -> tuple[ScheduleSummary, Attempt | Job]:
        found = find_job(snapshot.jobs, identity)
        schedule = known_schedule(snapshot, found.namespace, found.schedule)
        return schedule, attempt_rules.retry(found, snapshot.jobs)

    async def recall(snapshot: Snapshot) -> Snapshot:
        return await attempts.past.with_run(snapshot, identity)

    wish = f"retry {identity}"
    return await attempts.execute(
        AttemptRequest(AuditAction.RETRY, who, wish, key, about, recall, decide)
    )


async def generate_report(
    attempts: AttemptService, wanted: GenerateRequest, now: datetime, who: str, key: str | None
) -> Job:
    """An attempt for a date; see Ask for `key`. Raises as Attempts does."""

    async def about() -> tuple[str, str]:
        try:
            found = attempt_rules.choose(wanted, (await attempts.cluster.snapshot()).schedules)
        except RefusedError:  # unless it was made this very moment
            snapshot = await attempts.cluster.snapshot(fresh=(SCHEDULES,))
            found = attempt_rules.choose(wanted, snapshot.schedules)
        return found.namespace, found.name

    def decide(snapshot: Snapshot) -> tuple[ScheduleSummary, Attempt | Job]:
        schedule = attempt_rules.choose(wanted, snapshot.schedules)
        return schedule, attempt_rules.generate(wanted, schedule, snapshot.jobs, now)

    async def recall(snapshot: Snapshot) -> Snapshot:
        schedule = attempt_rules.choose(wanted, snapshot.schedules)
        slot = attempt_rules.slot_of(schedule, wanted.date, now)
        return await attempts.past.with_slot(snapshot, schedule, slot)

    wish = f"generate {wanted.model_dump_json()}"
    return await attempts.execute(
        AttemptRequest(AuditAction.GENERATE, who, wish, key, about, recall, decide)
    )


def caller(request: Request) -> str:
    """A user by token; over loopback what the caller claims to be, for the record."""
    return caller_of(request).name
