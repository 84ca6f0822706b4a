"""Endpoint: finished files, passed on from the file server of the team's namespace.

The media type that a file server names is ignored: a team could put something else in its place,
whose pages would then act as on-call. Headers are decided here, by the file's name.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from admin_api.auth.visibility import check_files
from admin_api.dependencies import CallerDep, FilesDep
from admin_api.schemas.files import FilesQuery
from admin_api.services.files import FILES, content_of, is_namespace, read_listing
from report_runner.contract.files import JSON, MEDIA_TYPES, Listing, headers_of

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Listing, "content": {kind: {} for kind in sorted(MEDIA_TYPES - {JSON})}}
}

router = APIRouter()


@router.get(f"{FILES}/{{namespace}}/{{path:path}}", tags=["read"], responses=RESPONSES)
async def file(
    namespace: str,
    path: str,
    query: Annotated[FilesQuery, Query()],
    caller: CallerDep,
    servers: FilesDep,
) -> Response:
    """A finished file; the entries of a directory where the path ends with a slash."""
    if is_namespace(namespace):
        await check_files(caller, namespace)
    answer = await servers.open(namespace, path, query.after)
    if path == "" or path.endswith("/"):
        listing = await read_listing(namespace, answer)
        return JSONResponse(listing.model_dump(mode="json"))
    headers = headers_of(path.rpartition("/")[2])
    if answer.content_length is not None:
        headers["Content-Length"] = str(answer.content_length)
    return StreamingResponse(content_of(answer), headers=headers)
