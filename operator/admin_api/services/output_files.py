"""Whether the files that a run made are still there, which only the file server knows.

A later run removes them after the retention, and a person may at any time: no date tells it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from admin_api.errors import UNREACHABLE, RefusedError
from admin_api.schemas.jobs import Job, JobDetail, OutputFile, OutputState
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import newest_first

SECONDS = 3.0  # for all files of a run
CHECKED = 20  # files of a run; more than there are formats

# Of a namespace and a path below the volume; None: nobody can tell.
Exists = Callable[[str, str], Awaitable[bool | None]]

# storage.output_paths of the runner; neither part has an underscore.
_NAME = re.compile(
    r"(?:.*/)?(?P<namespace>[^_/]+)_(?P<schedule>[^_/]+)_(?P<slot>\d{8}T\d{6}Z)[.][^/]*", re.ASCII
)
_STATES = {True: OutputState.AVAILABLE, False: OutputState.GONE, None: OutputState.UNKNOWN}


async def with_states(detail: JobDetail, exists: Exists) -> JobDetail:
    """The run with all its files, each with its state."""
    files = detail.files or [OutputFile(path=path) for path in detail.outputs]
    tasks = [asyncio.ensure_future(exists(detail.namespace, f.path)) for f in files[:CHECKED]]
    done = (await asyncio.wait(tasks, timeout=SECONDS))[0] if tasks else set()
    for task in tasks:
        task.cancel()  # without effect on those that are done
    found = [_STATES[task.result()] if task in done else OutputState.UNKNOWN for task in tasks]
    found += [OutputState.UNKNOWN] * (len(files) - len(found))
    return detail.model_copy(
        update={
            "files": [
                file.model_copy(update={"state": state})
                for file, state in zip(files, found, strict=True)
            ]
        }
    )


async def maker_of(
    cluster: Cluster, history: HistoryClient, namespace: str, path: str
) -> Job | None:
    """The newest run whose outputs have this file; None where no such run is known."""
    try:
        live = (await cluster.snapshot()).jobs
    except UNREACHABLE:
        live = ()
    made = [job for job in live if job.namespace == namespace and path in job.outputs]
    # A schedule's status remembers its last runs only; a file is named by schedule and slot.
    name = _NAME.fullmatch(path)
    if not made and name is not None and name["namespace"] == namespace:
        stored, _ = await history.find(f"{namespace}.{name['schedule']}.{name['slot']}.1")
        if stored is not None:
            jobs = await history.attempts(stored.record.schedule_uid, stored.record.slot)
            made = [job for job in newest_first(jobs) if path in job.outputs]
    return made[0] if made else None


def gone(job: Job, path: str) -> RefusedError:
    """410: a run made the file, and it was removed."""
    again = f"report-scheduler generate {job.report_type} --date {job.report_date}"
    return RefusedError(
        410,
        f"{job.id} made {path}, and it has been removed: spec.output.retention of "
        f"{job.namespace}/{job.schedule} has passed, or a person did it"
        + (f". To have it again: {again}" if job.report_date else ""),
    )
