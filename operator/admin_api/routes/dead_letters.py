"""Dead letters: slots that were given up on, to look through and to try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin_api.auth.tokens import FILES_RIGHT
from admin_api.auth.visibility import caller_of, sees_all, visible
from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import (
    LIST_LIMIT,
    SCHEDULER,
    AskedInstant,
    Instant,
    Job,
    JobId,
    JobsQuery,
    NoQuery,
)
from admin_api.services import attempt_rules
from admin_api.services.attempts import AttemptService, known_schedule
from admin_api.services.audit import AuditAction
from admin_api.services.cache import Snapshot
from admin_api.services.dead_letter_clearing import clear
from admin_api.services.jobs import find_job, select
from report_operator.adapters.kube.client import ApiError
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import schedule_of_job_id

RETRY_LIMIT = 100  # in one call


class DeadLetters(BaseModel):
    """A page of them, the newest failure first; each is the slot's newest attempt."""

    dead_letters: list[Job]
    total: int = Field(description="On all pages.")
    cleared_through: Instant | None = Field(
        default=None, description="Failures until then were taken off the list by a person."
    )
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class ClearRequest(BaseModel):
    """Which failures to clear."""

    model_config = ConfigDict(extra="forbid")

    through: AskedInstant | None = Field(
        default=None,
        description="The newest `failed_at` that you have seen: what failed later stays. Without "
        "it all that are there go.",
    )


class Cleared(BaseModel):
    """What was taken off the list; the runs themselves stay failed."""

    cleared: int
    through: Instant | None = Field(description="The newest failure among them.")


class DeadLettersQuery(BaseModel):
    """Which of them."""

    model_config = ConfigDict(extra="forbid")

    report_type: str | None = None
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")


class RetryThese(BaseModel):
    """Some."""

    model_config = ConfigDict(extra="forbid")

    ids: list[JobId] = Field(min_length=1, max_length=RETRY_LIMIT)


class RetryAll(BaseModel):
    """Every one, as far as one call goes."""

    model_config = ConfigDict(extra="forbid")

    all: Literal[True]


class Refusal(BaseModel):
    """One that is not tried again."""

    id: str
    reason: str


class Retried(BaseModel):
    """What became of it."""

    jobs: list[Job] = Field(description="The attempts, made now or under way already.")
    refused: list[Refusal]
    left: int = Field(description=f"With `all`: dead letters beyond the first {RETRY_LIMIT}.")


@dataclass(frozen=True, slots=True)
class RetrySelection:
    """What to try again."""

    jobs: Sequence[Job]
    refused: Sequence[Refusal]
    left: int


def add(app: FastAPI, attempts: AttemptService) -> None:
    """Attach the endpoints."""
    cluster = attempts.cluster

    @app.get(f"{SCHEDULER}/dead-letters", tags=["read"])
    async def dead_letters(
        query: Annotated[DeadLettersQuery, Query()], request: Request
    ) -> DeadLetters:
        """Slots whose newest attempt failed for good."""
        await cluster.leader()  # with it, what was cleared a moment ago
        snapshot = await cluster.snapshot()
        found = _of_type(snapshot.dead, query.report_type)
        page = select(found, JobsQuery(limit=query.limit, cursor=query.cursor))
        shown = await visible(request, page.jobs)
        return DeadLetters(
            dead_letters=shown,
            total=len(found),
            next=page.next,
            cleared_through=snapshot.cleared_through,
        )

    @app.post(f"{SCHEDULER}/dead-letters/clear", tags=["act"])
    async def clear_all(
        request: Request, _: NoQuery, wanted: ClearRequest | None = None
    ) -> Cleared:
        """Take the failures of all teams off the list, for everybody: it is one list."""
        if not await sees_all(request):
            raise RefusedError(
                403,
                f"the dead letters of all teams are one list: {caller_of(request).name} may not "
                f"{FILES_RIGHT} in all namespaces. Retry those of your own instead",
            )
        through = wanted.through if wanted else None
        done = await clear(cluster, attempts.audit, through, caller_of(request).name)
        return Cleared(cleared=done.count, through=done.through)

    @app.post(f"{SCHEDULER}/dead-letters/retry", status_code=202, tags=["act"])
    async def retry(wanted: RetryThese | RetryAll, request: Request, _: NoQuery) -> Retried:
        """A further attempt for each; one that is under way stands for itself."""
        found = await retry_chosen(attempts, wanted, caller_of(request).name)
        return found.model_copy(update={"jobs": await visible(request, found.jobs)})


async def retry_chosen(
    attempts: AttemptService, wanted: RetryThese | RetryAll, who: str
) -> Retried:
    """A further attempt for each, or word of why not. Raises what Cluster raises."""
    await attempts.cluster.leader()  # with it, what was cleared a moment ago
    about = _schedules_of(wanted, await attempts.cluster.snapshot())
    snapshot = await attempts.cluster.look_at(*about)
    chosen = choose(wanted, snapshot)
    refused = list(chosen.refused)
    made: set[str] = set()
    for job in chosen.jobs:
        try:
            decision = attempt_rules.retry(
                job, snapshot.of_schedule(job.namespace, job.schedule), Priority.NORMAL
            )
            schedule = known_schedule(snapshot, job.namespace, job.schedule)
            made.add(await attempts.make(schedule, decision, AuditAction.RETRY, who))
        except (RefusedError, ApiError) as error:
            refused.append(Refusal(id=job.id, reason=error.message))
    jobs = (await attempts.cluster.look_at(*about)).jobs
    return Retried(jobs=[job for job in jobs if job.id in made], refused=refused, left=chosen.left)


def _schedules_of(wanted: RetryThese | RetryAll, snapshot: Snapshot) -> set[tuple[str, str]]:
    if isinstance(wanted, RetryAll):
        return {(job.namespace, job.schedule) for job in choose(wanted, snapshot).jobs}
    return {found for identity in wanted.ids if (found := schedule_of_job_id(identity))}


def _of_type(jobs: Sequence[Job], report_type: str | None) -> list[Job]:
    return [job for job in jobs if report_type in (None, job.report_type)]


def choose(wanted: RetryThese | RetryAll, snapshot: Snapshot) -> RetrySelection:
    """Those asked for, or the oldest of all."""
    if isinstance(wanted, RetryAll):
        oldest_first = snapshot.dead[::-1]
        return RetrySelection(
            oldest_first[:RETRY_LIMIT], (), max(len(oldest_first) - RETRY_LIMIT, 0)
        )
    found: list[Job] = []
    refused: list[Refusal] = []
    for identity in dict.fromkeys(wanted.ids):
        try:
            found.append(find_job(snapshot.jobs, identity))
        except RefusedError as error:
            refused.append(Refusal(id=identity, reason=error.message))
    return RetrySelection(found, refused, 0)
