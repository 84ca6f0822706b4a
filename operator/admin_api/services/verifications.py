"""Looks at what was sent: asked for once, and read while their Job is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from admin_api.errors import RefusedError
from admin_api.paths import DELIVERIES
from admin_api.schemas.jobs import Job
from admin_api.schemas.verifications import Verification, VerifiedDelivery
from admin_api.services.attempts import known_schedule, reference_to
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import find_job, schedule_of
from admin_api.services.jobs import ScheduleSummary
from report_operator.domain.names import run_id
from report_operator.domain.runs.verification import (
    VerificationJob,
    VerificationTarget,
    job_of_verification,
    judge_verification,
    of_slot,
    too_many,
)


@dataclass(frozen=True, slots=True)
class VerificationService:
    """Raises RefusedError, or what the API client raises."""

    cluster: Cluster
    history: HistoryClient
    audit: Audit

    async def request(self, identity: str, requested_by: str) -> Verification:
        """A look at the slot of a run: one that is under way, or a new one."""
        job, schedule = await self._find(identity)
        looks = await self.cluster.verifications()
        before = of_slot(looks, schedule.uid, job.slot)
        if before and before[-1].active:
            return await self._show(job, before[-1])
        refusal = too_many(looks, job.namespace)
        if refusal:
            raise RefusedError(409, f"{refusal}: ask again when some have ended")
        number = before[-1].number + 1 if before else 1
        target = _target(job, schedule)
        body = job_of_verification(
            await self.cluster.cronjob_of(schedule), target, number, requested_by
        )
        await self.cluster.create_verification(body)
        await self.audit.record(
            AuditAction.VERIFY, requested_by, f"{job.id}, look {number}", reference_to(schedule)
        )
        found = await self.find(identity)
        if found is None:
            name = f"{job.namespace}/{body['metadata']['name']}"
            raise RefusedError(409, f"the Job {name} is there, and is no look: delete it")
        return found

    async def find(self, identity: str) -> Verification | None:
        """The newest look at the slot of a run, while it is kept."""
        job, schedule = await self._find(identity)
        looks = await self.cluster.verifications(job.namespace)
        found = of_slot(looks, schedule.uid, job.slot)
        return await self._show(job, found[-1]) if found else None

    async def run(self, identity: str) -> Job:
        """The run of this id."""
        return (await self._find(identity))[0]

    async def _find(self, identity: str) -> tuple[Job, ScheduleSummary]:
        """The run and its schedule. Raises RefusedError."""
        namespace, name = schedule_of(identity)
        snapshot = await self.cluster.snapshot()
        job = next((job for job in snapshot.jobs if job.id == identity), None)
        if job is None:  # made a moment ago, or of long ago
            snapshot = await self.cluster.refresh((namespace, name))
            snapshot = await self.history.with_run(snapshot, identity)
            job = find_job(snapshot.jobs, identity)
        return job, known_schedule(snapshot, job.namespace, job.schedule)

    async def _show(self, job: Job, look: VerificationJob) -> Verification:
        status = judge_verification(look, await self.cluster.pod_of_verification(look))
        return Verification(
            job_id=job.id,
            namespace=job.namespace,
            schedule=job.schedule,
            slot=job.slot,
            report_date=_report_date(job),
            state=status.state,
            message=status.message,
            requested_by=look.requested_by,
            requested_at=look.created_at,
            finished_at=look.finished_at,
            job=look.name,
            counts=status.result.counts,
            deliveries=[VerifiedDelivery(**item.model_dump()) for item in status.result.deliveries],
        )


def _target(job: Job, schedule: ScheduleSummary) -> VerificationTarget:
    return VerificationTarget(
        namespace=job.namespace,
        schedule=job.schedule,
        schedule_uid=schedule.uid,
        slot=job.slot,
        report_date=_report_date(job),
        run_id=run_id(job.schedule, job.slot, job.attempt),
    )


def _report_date(job: Job) -> date:
    """Raises RefusedError where it has not been admitted: its files are found by the date."""
    if job.report_date is None:
        raise RefusedError(409, f"{job.id} has not begun: it has sent nothing yet")
    return job.report_date


def no_look(identity: str) -> RefusedError:
    return RefusedError(
        404,
        f"nobody has looked at what {identity} sent within the last hour: POST {DELIVERIES}/verify",
    )
