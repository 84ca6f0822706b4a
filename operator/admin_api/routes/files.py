"""Endpoint: finished files, passed on from the file server of the team's namespace.

The media type that a file server names is ignored: a team could put something else in its place,
whose pages would then act as on-call. Headers are decided here, by the file's name.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from admin_api.auth.visibility import check_files
from admin_api.dependencies import CallerDep, ClusterDep, FilesDep, HistoryDep
from admin_api.errors import PROBLEM, RefusedError
from admin_api.schemas.files import FilesQuery
from admin_api.schemas.problem import ProblemDocument
from admin_api.services.files import FILES, content_of, is_namespace, read_listing
from admin_api.services.output_files import gone, maker_of
from report_runner.contract.files import JSON, MEDIA_TYPES, Listing, headers_of

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Listing, "content": {kind: {} for kind in sorted(MEDIA_TYPES - {JSON})}},
    410: {"model": ProblemDocument, "content": {PROBLEM: {}}},
}

router = APIRouter()


@router.get(f"{FILES}/{{namespace}}/{{path:path}}", tags=["read"], responses=RESPONSES)
async def file(
    namespace: str,
    path: str,
    query: Annotated[FilesQuery, Query()],
    caller: CallerDep,
    servers: FilesDep,
    cluster: ClusterDep,
    history: HistoryDep,
) -> Response:
    """A finished file; the entries of a directory where the path ends with a slash.

    410: a run made the file, and it has been removed since.
    """
    if is_namespace(namespace):
        await check_files(caller, namespace)
    try:
        answer = await servers.open(namespace, path, query.after)
    except RefusedError as error:
        if error.status != 404 or servers.url is None:
            raise
        job = await maker_of(cluster, history, namespace, path)
        if job is None:
            raise
        raise gone(job, path) from error
    if path == "" or path.endswith("/"):
        listing = await read_listing(namespace, answer)
        return JSONResponse(listing.model_dump(mode="json"))
    headers = headers_of(path.rpartition("/")[2])
    if answer.content_length is not None:
        headers["Content-Length"] = str(answer.content_length)
    return StreamingResponse(content_of(answer), headers=headers)
