"""Makes attempts: each once, whoever asks for it how often, and whoever dies in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import Job
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.idempotency import IdempotencyEntry, IdempotencyStore, digest
from admin_api.services.jobs import ScheduleSummary, find_job
from report_operator.api.v1alpha1.resource import API_VERSION, KIND
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import job_id
from report_operator.domain.runs.attempts import Attempt

CONFLICTS = 10  # with other requests that carry keys


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """A wish for an attempt. `decide` says which it is, on a fresh view; it may refuse."""

    verb: AuditAction
    who: str
    request: str  # all that was asked for: equal for equal requests
    key: str | None  # Idempotency-Key
    about: Callable[[], Awaitable[tuple[str, str]]]  # namespace and name of the schedule
    recall: Callable[[Snapshot], Awaitable[Snapshot]]  # adds what history knows of the slot
    decide: Callable[[Snapshot], tuple[ScheduleSummary, Attempt | Job]]


@dataclass(frozen=True, slots=True)
class AttemptService:
    """Raises RefusedError, or what the API client raises."""

    cluster: Cluster
    requests: IdempotencyStore
    audit: Audit
    clock: Callable[[], datetime]
    past: HistoryClient = field(default_factory=HistoryClient)

    async def execute(self, ask: AttemptRequest) -> Job:
        """The attempt that is asked for; the one under way where there is one."""
        if ask.key is None:
            schedule, decision = ask.decide(await self._view(ask))
            identity = await self.make(schedule, decision, ask.verb, ask.who)
            snapshot = await self.cluster.look_at((schedule.namespace, schedule.name))
            return find_job(snapshot.jobs, identity)
        entry = await self._reserve(ask, ask.key)
        about = (entry.namespace, entry.schedule)
        snapshot = await self.cluster.look_at(about)
        known = next((job for job in snapshot.jobs if job.id == entry.identity), entry.answer)
        if entry.answer is not None and known is not None:
            return known
        schedule = known_schedule(snapshot, entry.namespace, entry.schedule)
        # Somebody else may have made it meanwhile; its Job may even be gone again.
        identity = await self.make(schedule, known or entry.attempt, ask.verb, ask.who)
        answer = find_job((await self.cluster.look_at(about)).jobs, identity)
        await self._complete(ask.key, entry, answer)
        return answer

    async def make(
        self, schedule: ScheduleSummary, decision: Attempt | Job, verb: AuditAction, who: str
    ) -> str:
        """Make the Job of an attempt, unless it is there, and say who asked for it; its id."""
        if isinstance(decision, Job):
            identity = decision.id
        else:
            await self.cluster.make(schedule, decision, who)
            identity = job_id(schedule.namespace, schedule.name, decision.slot, decision.number)
        await self.audit.tell(verb, who, identity, subject_of(schedule))
        return identity

    async def _view(self, ask: AttemptRequest) -> Snapshot:
        return await ask.recall(await self.cluster.look_at(await ask.about()))

    async def _reserve(self, ask: AttemptRequest, key: str) -> IdempotencyEntry:
        """What the key stands for from now on."""
        for _ in range(CONFLICTS):
            book = await self.requests.read()
            known = book.find(key, ask.request)
            if known is not None:
                return known
            schedule, decision = ask.decide(await self._view(ask))
            entry = _entry(schedule, decision, ask.request, self.clock())
            if await self.requests.write(book, key, entry):
                return entry
        raise RefusedError(503, "too many requests with keys at once: send it again, same key")

    async def _complete(self, key: str, entry: IdempotencyEntry, answer: Job) -> None:
        """Keep the answer: the attempt is not to be made again when it is gone and forgotten."""
        for _ in range(CONFLICTS):
            done = entry.model_copy(update={"answer": answer})
            if await self.requests.write(await self.requests.read(), key, done):
                return


def known_schedule(snapshot: Snapshot, namespace: str, name: str) -> ScheduleSummary:
    """By namespace and name. Raises RefusedError."""
    for schedule in snapshot.schedules:
        if (schedule.namespace, schedule.name) == (namespace, name):
            return schedule
    raise RefusedError(409, f"the ReportSchedule {namespace}/{name} is gone")


def subject_of(schedule: ScheduleSummary) -> ObjectReference:
    """For an Event about it."""
    return ObjectReference(API_VERSION, KIND, schedule.namespace, schedule.name, schedule.uid)


def _entry(
    schedule: ScheduleSummary, decision: Attempt | Job, request: str, now: datetime
) -> IdempotencyEntry:
    return IdempotencyEntry(
        at=now,
        request=digest(request),
        namespace=schedule.namespace,
        schedule=schedule.name,
        slot=decision.slot,
        report_date=decision.report_date,
        number=decision.attempt if isinstance(decision, Job) else decision.number,
        priority=Priority.NORMAL if isinstance(decision, Job) else decision.priority,
        answer=decision if isinstance(decision, Job) else None,
    )
