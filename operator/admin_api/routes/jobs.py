"""Endpoints: runs, and one run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from admin_api.auth.visibility import visible, visible_one
from admin_api.dependencies import CallerDep, ClusterDep, FilesDep, HistoryDep
from admin_api.paths import SCHEDULER
from admin_api.schemas.common import NoQuery
from admin_api.schemas.jobs import JobDetail, Jobs, JobsQuery
from admin_api.services.job_queries import get_job, list_jobs
from admin_api.services.known_names import check_names
from admin_api.services.output_files import with_states

router = APIRouter()


@router.get(f"{SCHEDULER}/jobs", tags=["read"], response_model=Jobs)
async def jobs(
    query: Annotated[JobsQuery, Query()],
    caller: CallerDep,
    cluster: ClusterDep,
    history: HistoryDep,
) -> Response:
    """Runs, newest first: from history, and those under way.

    404 where nothing is found and a filter names what no ReportSchedule has.
    """
    page = await list_jobs(cluster, history, query)
    if not page.jobs and query.cursor is None:
        check_names(
            (await cluster.snapshot()).schedules,
            report_type=query.report_type,
            namespace=query.namespace,
            name=query.schedule,
        )
    page = page.model_copy(update={"jobs": await visible(caller, page.jobs)})
    # pydantic serializes the page at once: FastAPI would go through every job in Python.
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(f"{SCHEDULER}/jobs/{{identity}}", tags=["read"])
async def job(
    identity: str,
    _: NoQuery,
    caller: CallerDep,
    cluster: ClusterDep,
    history: HistoryDep,
    servers: FilesDep,
) -> JobDetail:
    """One run, with the last lines of its pod's log; those of a failed run are stored."""
    found = await visible_one(caller, await get_job(cluster, history, identity))
    return await with_states(found, servers.exists)
