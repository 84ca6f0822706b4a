"""Makes attempts: each once, whoever asks for it how often, and whoever dies in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from admin_api.audit import Audit, Subject, Verb
from admin_api.cluster import Cluster
from admin_api.errors import RefusedError
from admin_api.idempotency import Entry, Requests, digest
from admin_api.jobs import Schedule, find_job
from admin_api.model import Job
from admin_api.observed import Snapshot
from admin_api.past import Past
from report_operator.api.v1alpha1.resource import API_VERSION, KIND
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.attempts import Attempt
from report_operator.domain.names import job_id

CONFLICTS = 10  # with other requests that carry keys


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for an attempt. `decide` says which it is, on a fresh view; it may refuse."""

    verb: Verb
    who: str
    request: str  # all that was asked for: equal for equal requests
    key: str | None  # Idempotency-Key
    about: Callable[[], Awaitable[tuple[str, str]]]  # namespace and name of the schedule
    recall: Callable[[Snapshot], Awaitable[Snapshot]]  # adds what history knows of the slot
    decide: Callable[[Snapshot], tuple[Schedule, Attempt | Job]]


@dataclass(frozen=True, slots=True)
class Attempts:
    """Raises RefusedError, or what the API client raises."""

    cluster: Cluster
    requests: Requests
    audit: Audit
    clock: Callable[[], datetime]
    past: Past = field(default_factory=Past)

    async def carry_out(self, ask: Ask) -> Job:
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

    async def make(self, schedule: Schedule, decision: Attempt | Job, verb: Verb, who: str) -> str:
        """Make the Job of an attempt, unless it is there, and say who asked for it; its id."""
        if isinstance(decision, Job):
            identity = decision.id
        else:
            await self.cluster.make(schedule, decision, who)
            identity = job_id(schedule.namespace, schedule.name, decision.slot, decision.number)
        await self.audit.tell(verb, who, identity, subject_of(schedule))
        return identity

    async def _view(self, ask: Ask) -> Snapshot:
        return await ask.recall(await self.cluster.look_at(await ask.about()))

    async def _reserve(self, ask: Ask, key: str) -> Entry:
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

    async def _complete(self, key: str, entry: Entry, answer: Job) -> None:
        """Keep the answer: the attempt is not to be made again when it is gone and forgotten."""
        for _ in range(CONFLICTS):
            done = entry.model_copy(update={"answer": answer})
            if await self.requests.write(await self.requests.read(), key, done):
                return


def known_schedule(snapshot: Snapshot, namespace: str, name: str) -> Schedule:
    """By namespace and name. Raises RefusedError."""
    for schedule in snapshot.schedules:
        if (schedule.namespace, schedule.name) == (namespace, name):
            return schedule
    raise RefusedError(409, f"the ReportSchedule {namespace}/{name} is gone")


def subject_of(schedule: Schedule) -> Subject:
    """For an Event about it."""
    return Subject(API_VERSION, KIND, schedule.namespace, schedule.name, schedule.uid)


def _entry(schedule: Schedule, decision: Attempt | Job, request: str, now: datetime) -> Entry:
    return Entry(
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
