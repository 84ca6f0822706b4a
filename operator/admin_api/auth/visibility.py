"""What a caller may not see of other teams' runs is left out of answers, with a note instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from admin_api.auth.caller import Caller
from admin_api.auth.tokens import ALL_NAMESPACES, FILES_RIGHT
from admin_api.errors import RefusedError
from admin_api.schemas.jobs import Job, JobDetail
from admin_api.schemas.schedules import Schedule

J = TypeVar("J", bound=Job)
S = TypeVar("S", bound=Schedule)

MESSAGES = ("error_message", "skip_message")
OF_JOB = (*MESSAGES, "outputs")
OF_DETAIL = (*OF_JOB, "files", "deliveries", "log")


async def visible(caller: Caller, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as the caller may see them. Raises what Tokens raises."""
    hidden = await caller.hidden(job.namespace for job in jobs)
    return [without_content(job) if job.namespace in hidden else job for job in jobs]


async def visible_one(caller: Caller, job: J) -> J:
    """A job as the caller may see it. Raises what Tokens raises."""
    return job if await caller.may_see(job.namespace) else without_content(job)


async def sees_all(caller: Caller) -> bool:
    """Whether the caller may read the reports of all teams. Raises what Tokens raises."""
    return await caller.may_see(ALL_NAMESPACES)


async def check_recipients(caller: Caller, namespace: str | None) -> None:
    """Raises RefusedError where the caller may not see who gets the reports of a namespace.

    None stands for all namespaces.
    """
    if await caller.may_see(namespace or ALL_NAMESPACES):
        return
    where = f"in the namespace {namespace[:63]}" if namespace else "in all namespaces: name one"
    raise RefusedError(403, f"{caller.name} may not {FILES_RIGHT} {where}")


async def check_files(caller: Caller, namespace: str) -> None:
    """Raises RefusedError where the caller may not read the files of a namespace."""
    if not await caller.may_see(namespace):
        raise RefusedError(
            403, f"{caller.name} may not {FILES_RIGHT} in the namespace {namespace[:63]}"
        )


def without_content(job: J) -> J:
    """The job without its message, files, recipients and log; the reason in one word stays."""
    fields = OF_DETAIL if isinstance(job, JobDetail) else OF_JOB
    empty: dict[str, object] = {name: None if name in MESSAGES else [] for name in fields}
    note = f"{', '.join(fields)}: needs {FILES_RIGHT} in the namespace {job.namespace}"
    return job.model_copy(update={**empty, "not_shown": note})


def without_messages(schedule: S) -> S:
    """The schedule without texts that may quote its data; the reasons in one word stay."""
    changes: dict[str, object] = {
        "not_shown": f"messages: need {FILES_RIGHT} in the namespace {schedule.namespace}"
    }
    if schedule.ready is not None:
        changes["ready"] = schedule.ready.model_copy(update={"message": None})
    if schedule.last_failure is not None:
        changes["last_failure"] = schedule.last_failure.model_copy(update={"message": None})
    return schedule.model_copy(update=changes)
