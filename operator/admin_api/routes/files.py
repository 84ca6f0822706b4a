"""The finished files: on volumes of the teams' namespaces, handed on from the file server there.

What the file server says a file is does not count: a team could put something else in its place,
whose pages would then act as on-call. Headers are decided here, by the name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from admin_api.auth.visibility import check_files
from admin_api.errors import PROBLEM, RefusedError, reason_of
from admin_api.schemas.scheduler import REPORTS, ProblemDocument
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.output_files import gone, maker_of
from report_runner.contract.files import (
    FILES_PATH,
    JSON,
    MEDIA_TYPES,
    PATH_LIMIT,
    Listing,
    headers_of,
    parts_of,
)

FILES = f"{REPORTS}/files"
CHUNK = 64 * 1024  # bytes
LISTING_LIMIT = 1024 * 1024  # bytes
_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=30)


class FilesQuery(BaseModel):
    """Of a directory."""

    model_config = ConfigDict(extra="forbid")

    after: str = Field(default="", max_length=PATH_LIMIT, description="`next` of the page before.")


@dataclass(frozen=True, slots=True)
class FileServers:
    """One in each namespace; `url` has {namespace} in it, and is None where there are none."""

    session: aiohttp.ClientSession
    url: str | None
    watched: tuple[str | None, ...]

    async def open(self, namespace: str, path: str, after: str) -> aiohttp.ClientResponse:
        """An answer with status 200, not read yet. Raises RefusedError."""
        if self.url is None:
            raise RefusedError(
                404,
                "no file server is installed: set output.fileServer.enabled of the chart, or "
                f"mount the claim in a pod of {namespace} (docs/runbook.md, storage)",
            )
        parts = parts_of(path)
        if parts is None or not self._serves(namespace):
            raise _nothing_there(namespace, path)
        name = "/".join(quote(part, safe="") for part in parts)
        slash = "/" if parts and path.endswith("/") else ""
        query = f"?after={quote(after, safe='')}" if after else ""
        base = self.url.replace("{namespace}", namespace)
        url = URL(f"{base}{FILES_PATH}{name}{slash}{query}", encoded=True)
        try:
            answer = await self.session.get(
                url,
                timeout=_TIMEOUT,
                allow_redirects=False,
                headers={"Accept-Encoding": "identity"},
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _down(namespace, reason_of(error)) from error
        if answer.status != 200:
            answer.release()
            if answer.status == 404:
                raise _nothing_there(namespace, path)
            raise _down(namespace, f"it answers {answer.status}")
        return answer

    async def exists(self, namespace: str, path: str) -> bool | None:
        """Whether a file is there; None where the file server does not tell."""
        parts = parts_of(path)
        if self.url is None or not self._serves(namespace):
            return None
        if not parts or path.endswith("/"):
            return False
        name = "/".join(quote(part, safe="") for part in parts)
        url = URL(self.url.replace("{namespace}", namespace) + FILES_PATH + name, encoded=True)
        try:
            async with self.session.head(url, timeout=_TIMEOUT, allow_redirects=False) as answer:
                return {200: True, 404: False}.get(answer.status)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _serves(self, namespace: str) -> bool:
        return is_namespace(namespace) and (None in self.watched or namespace in self.watched)


def is_namespace(name: str) -> bool:
    """Whether a namespace can have this name."""
    return _NAMESPACE.fullmatch(name) is not None


def add(app: FastAPI, servers: FileServers, cluster: Cluster, past: HistoryClient) -> None:
    """Attach the endpoint."""
    kinds: dict[int | str, dict[str, Any]] = {
        200: {"model": Listing, "content": {kind: {} for kind in sorted(MEDIA_TYPES - {JSON})}},
        410: {"model": ProblemDocument, "content": {PROBLEM: {}}},
    }

    @app.get(f"{FILES}/{{namespace}}/{{path:path}}", tags=["read"], responses=kinds)
    async def file(
        namespace: str, path: str, query: Annotated[FilesQuery, Query()], request: Request
    ) -> Response:
        """A finished file; the entries of a directory where the path ends with a slash.

        410: a run made the file, and it has been removed since.
        """
        if is_namespace(namespace):
            await check_files(request, namespace)
        try:
            answer = await servers.open(namespace, path, query.after)
        except RefusedError as error:
            job = await maker_of(cluster, past, namespace, path) if error.status == 404 else None
            if servers.url is None or job is None:
                raise
            raise gone(job, path) from error
        if path == "" or path.endswith("/"):
            listing = await _read_listing(namespace, answer)
            return JSONResponse(listing.model_dump(mode="json"))
        headers = headers_of(path.rpartition("/")[2])
        if answer.content_length is not None:
            headers["Content-Length"] = str(answer.content_length)
        return StreamingResponse(_content(answer), headers=headers)


async def _content(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    # Where it breaks off in the middle, the length tells: the connection ends before it.
    async with answer:
        async for chunk in answer.content.iter_chunked(CHUNK):
            yield chunk


async def _read_listing(namespace: str, answer: aiohttp.ClientResponse) -> Listing:
    try:
        raw = bytearray()
        async for chunk in _content(answer):
            raw += chunk
            if len(raw) > LISTING_LIMIT:
                break
        return Listing.model_validate_json(bytes(raw))
    except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
        raise _down(namespace, "its list of files cannot be read") from error


def _nothing_there(namespace: str, path: str) -> RefusedError:
    return RefusedError(
        404,
        f"no finished file {path or '/'} in {namespace}: GET {FILES}/{namespace}/ lists what there "
        "is, directories end with a slash",
    )


def _down(namespace: str, why: str) -> RefusedError:
    return RefusedError(
        503,
        f"the file server of {namespace} does not serve ({why}); see "
        f"kubectl -n {namespace} get pods -l app.kubernetes.io/name=adaf-reports-files",
    )
