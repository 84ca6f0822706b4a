"""What a caller may not see of other teams' runs: left out of answers, with a word in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import Request

from admin_api.auth.caller import Caller
from admin_api.auth.tokens import ALL_NAMESPACES, FILES_RIGHT
from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import Job, JobDetail

J = TypeVar("J", bound=Job)

OF_JOB = ("error_message", "outputs")
OF_DETAIL = (*OF_JOB, "files", "deliveries", "log")


def caller_of(request: Request) -> Caller:
    """Who asks, as Guard found out."""
    found: Caller = request.state.caller
    return found


async def visible(request: Request, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as the caller may see them. Raises what Tokens raises."""
    unseen = await caller_of(request).unseen(job.namespace for job in jobs)
    return [without_content(job) if job.namespace in unseen else job for job in jobs]


async def visible_one(request: Request, job: J) -> J:
    """A job as the caller may see it. Raises what Tokens raises."""
    return job if await caller_of(request).may_see(job.namespace) else without_content(job)


async def sees_all(request: Request) -> bool:
    """Whether the caller may see what the reports of all teams say. Raises what Tokens raises."""
    return await caller_of(request).may_see(ALL_NAMESPACES)


async def check_files(request: Request, namespace: str) -> None:
    """Raises RefusedError where the caller may not read the files of a namespace."""
    caller = caller_of(request)
    if not await caller.may_see(namespace):
        raise RefusedError(
            403, f"{caller.name} may not {FILES_RIGHT} in the namespace {namespace[:63]}"
        )


def without_content(job: J) -> J:
    """Only that it ran, when, and the reason in one word."""
    fields = OF_DETAIL if isinstance(job, JobDetail) else OF_JOB
    empty: dict[str, object] = {name: None if name == "error_message" else [] for name in fields}
    told = f"{', '.join(fields)}: needs {FILES_RIGHT} in the namespace {job.namespace}"
    return job.model_copy(update={**empty, "not_shown": told})
