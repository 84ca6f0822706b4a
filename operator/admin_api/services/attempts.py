"""Attempts on request: each is made once, over repeated requests and crashes.

Job names are deterministic and an Idempotency-Key is stored before its Job is made, so repeated
requests and crashes lead to the same attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import Attempted, GenerateRequest
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services import attempt_rules, override_rules
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.idempotency import (
    IdempotencyEntry,
    IdempotencyStore,
    Reservation,
    digest,
)
from admin_api.services.job_lists import find_job, schedule_of
from admin_api.services.jobs import ScheduleSummary
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import SCHEDULES
from report_operator.api.v1alpha1.resource import API_VERSION, KIND
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import job_id
from report_operator.domain.runs.attempts import Attempt
from report_operator.domain.runs.run import Run
from report_runner.contract.resend import parse_resend

Decision = Attempt | Job  # the attempt to make, or the one that is under way


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """Who asks for an attempt; `fingerprint` is equal for requests that ask for the same."""

    action: AuditAction
    requested_by: str
    fingerprint: str
    key: str | None  # Idempotency-Key


@dataclass(frozen=True, slots=True)
class AttemptService:
    """Raises RefusedError, or what the API client raises."""

    cluster: Cluster
    idempotency: IdempotencyStore
    audit: Audit
    clock: Callable[[], datetime]
    history: HistoryClient = field(default_factory=HistoryClient)

    async def retry(self, identity: str, requested_by: str, key: str | None = None) -> Job:
        """A further attempt for the slot of a failed run, or the attempt that is under way."""
        request = AttemptRequest(AuditAction.RETRY, requested_by, f"retry {identity}", key)
        if reservation := await self._find(request):
            return await self._resume(request, reservation)
        snapshot = await self._load_run(identity)
        job = find_job(snapshot.jobs, identity)
        schedule = known_schedule(snapshot, job.namespace, job.schedule)
        decision = attempt_rules.decide_retry(job, snapshot.jobs, runs=snapshot.runs)
        return await self._execute(request, schedule, decision)

    async def preview_retry(self, identity: str) -> tuple[Job, Decision]:
        """The run, and what `retry` would come to; nothing is made."""
        snapshot = await self._load_run(identity)
        job = find_job(snapshot.jobs, identity)
        return job, attempt_rules.decide_retry(job, snapshot.jobs)

    async def generate(
        self, wanted: GenerateRequest, requested_by: str, key: str | None = None
    ) -> Attempted:
        """An attempt for a date, or the one that is under way, at the priority if it is higher."""
        fingerprint = f"generate {wanted.model_dump_json()}"
        request = AttemptRequest(AuditAction.GENERATE, requested_by, fingerprint, key)
        if reservation := await self._find(request):
            return Attempted(**(await self._resume(request, reservation)).model_dump())
        now = self.clock()
        found = await self._choose(wanted)
        snapshot = await self.cluster.refresh((found.namespace, found.name))
        schedule = attempt_rules.choose(wanted, snapshot.schedules)
        if wanted.parameters:
            await self.cluster.check_parameters(schedule, wanted.parameters)
        slot = attempt_rules.slot_of(schedule, wanted.date, now)
        if wanted.instead_of_slot:
            slot = attempt_rules.slot_to_come(schedule, wanted.date, now)
        resend = override_rules.resend_of(wanted)
        if resend is not None:
            name = f"{schedule.namespace}/{schedule.name}"
            override_rules.check_resend(resend, name, await self.cluster.recipients_of(schedule))
        snapshot = await self.history.with_slot(snapshot, schedule, slot)
        decision = attempt_rules.decide_generate(wanted, schedule, slot, snapshot.jobs)
        if isinstance(decision, Job):
            run = _run_of(decision, snapshot)
            if run is not None:
                override_rules.check_same_parameters(wanted.parameters, run)
            override_rules.check_under_way(decision, run, resend)
        await self._raise_priority(wanted, snapshot, schedule, decision, requested_by)
        job = await self._execute(request, schedule, decision)
        if resend is not None and not isinstance(decision, Job):  # another request may be first
            made = await self.cluster.snapshot()
            override_rules.check_under_way(job, _run_of(job, made), resend)
        warnings = attempt_rules.warnings_of(wanted, schedule, job, snapshot.jobs, now)
        return Attempted(**job.model_dump(), warnings=warnings)

    async def _raise_priority(
        self,
        wanted: GenerateRequest,
        snapshot: Snapshot,
        schedule: ScheduleSummary,
        decision: Decision,
        requested_by: str,
    ) -> None:
        """Move a waiting attempt forward, if a higher priority is asked for."""
        priority = attempt_rules.raised_priority(wanted, decision)
        if priority is None or not isinstance(decision, Job):
            return
        run = _run_of(decision, snapshot)
        if run is None:
            return
        try:
            await self.cluster.set_priority(run, priority)
        except ApiError as error:
            if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                return  # it was admitted or removed meanwhile: the answer shows what it is now
            raise
        target = f"{decision.id} to {priority.value}"
        await self.audit.record(AuditAction.PRIORITY, requested_by, target, reference_to(schedule))

    async def make(
        self, schedule: ScheduleSummary, decision: Decision, action: AuditAction, requested_by: str
    ) -> str:
        """Create the Job of an attempt, unless it exists, and record the request; the run's id."""
        if isinstance(decision, Job):
            identity = decision.id
            if decision.status is JobStatus.QUEUED:
                await self.cluster.release(decision)
        else:
            if decision.slot > self.clock():  # also where its first attempt has failed
                decision = replace(decision, instead_of_slot=True)
            await self.cluster.create_attempt(schedule, decision, requested_by)
            identity = job_id(schedule.namespace, schedule.name, decision.slot, decision.number)
        await self.audit.record(
            action, requested_by, _target(identity, decision), reference_to(schedule)
        )
        return identity

    async def _load_run(self, identity: str) -> Snapshot:
        """The schedule's runs as they are now, and the attempts of the run's slot in history."""
        snapshot = await self.cluster.refresh(schedule_of(identity))
        return await self.history.with_run(snapshot, identity)

    async def _choose(self, wanted: GenerateRequest) -> ScheduleSummary:
        try:
            return attempt_rules.choose(wanted, (await self.cluster.snapshot()).schedules)
        except RefusedError:  # it may have been created a moment ago: decide on a new list
            snapshot = await self.cluster.snapshot(fresh=(SCHEDULES,))
            return attempt_rules.choose(wanted, snapshot.schedules)

    async def _find(self, request: AttemptRequest) -> Reservation | None:
        if request.key is None:
            return None
        return await self.idempotency.find(request.key, request.fingerprint)

    async def _execute(
        self, request: AttemptRequest, schedule: ScheduleSummary, decision: Decision
    ) -> Job:
        """Reserve the key, where there is one, and make the attempt."""
        if request.key is not None:
            entry = _entry(schedule, decision, request.fingerprint, self.clock())
            reservation = await self.idempotency.reserve(request.key, request.fingerprint, entry)
            return await self._resume(request, reservation)
        identity = await self.make(schedule, decision, request.action, request.requested_by)
        snapshot = await self.cluster.refresh((schedule.namespace, schedule.name))
        return find_job(snapshot.jobs, identity)

    async def _resume(self, request: AttemptRequest, reservation: Reservation) -> Job:
        """The attempt that a key stands for: made now, unless that was done before."""
        entry = reservation.entry
        name = (entry.namespace, entry.schedule)
        snapshot = await self.cluster.refresh(name)
        known = next((job for job in snapshot.jobs if job.id == entry.identity), entry.answer)
        if entry.answer is not None and known is not None:
            return known
        schedule = known_schedule(snapshot, *name)
        # Another request may have made it meanwhile; its Job may even be gone again.
        decision = known or entry.attempt
        identity = await self.make(schedule, decision, request.action, request.requested_by)
        answer = find_job((await self.cluster.refresh(name)).jobs, identity)
        await self.idempotency.complete(reservation, answer)
        return answer


def _target(identity: str, decision: Decision) -> str:
    """What is asked for, in the audit."""
    if isinstance(decision, Job):
        return identity
    told = identity
    if decision.parameters:
        given = ", ".join(f"{name}={value}" for name, value in decision.parameters.items())
        told += f" with {given[:200]}"
    again = parse_resend(decision.resend)
    told = f"{told}, sent again to {again.words}" if again is not None else told
    return f"{told}, instead of the slot's own run" if decision.instead_of_slot else told


def _run_of(job: Job, snapshot: Snapshot) -> Run | None:
    name = (job.namespace, job.job)
    return next((run for run in snapshot.runs if (run.namespace, run.name) == name), None)


def known_schedule(snapshot: Snapshot, namespace: str, name: str) -> ScheduleSummary:
    """Raises RefusedError where the schedule is gone."""
    for schedule in snapshot.schedules:
        if (schedule.namespace, schedule.name) == (namespace, name):
            return schedule
    raise RefusedError(409, f"the ReportSchedule {namespace}/{name} is gone")


def reference_to(schedule: ScheduleSummary) -> ObjectReference:
    """The ReportSchedule as the object of an Event."""
    return ObjectReference(API_VERSION, KIND, schedule.namespace, schedule.name, schedule.uid)


def _entry(
    schedule: ScheduleSummary, decision: Decision, fingerprint: str, now: datetime
) -> IdempotencyEntry:
    return IdempotencyEntry(
        at=now,
        request=digest(fingerprint),
        namespace=schedule.namespace,
        schedule=schedule.name,
        slot=decision.slot,
        report_date=decision.report_date,
        number=decision.attempt if isinstance(decision, Job) else decision.number,
        priority=Priority.NORMAL if isinstance(decision, Job) else decision.priority,
        parameters={} if isinstance(decision, Job) else dict(decision.parameters),
        inherits=False if isinstance(decision, Job) else decision.inherits,
        overridden=False if isinstance(decision, Job) else decision.overridden,
        resend="" if isinstance(decision, Job) else decision.resend,
        instead_of_slot=not isinstance(decision, Job) and decision.instead_of_slot,
        answer=decision if isinstance(decision, Job) else None,
    )
