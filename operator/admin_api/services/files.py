"""Client of the file servers, which serve the finished files from the teams' own volumes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError
from yarl import URL

from admin_api.errors import RefusedError, reason_of
from admin_api.paths import REPORTS
from report_runner.contract.files import FILES_PATH, Listing, parts_of

FILES = f"{REPORTS}/files"
CHUNK = 64 * 1024  # bytes
LISTING_LIMIT = 1024 * 1024  # bytes
_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=30)


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


async def content_of(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in pieces; where it breaks off, the peer sees fewer bytes than Content-Length."""
    async with answer:
        async for chunk in answer.content.iter_chunked(CHUNK):
            yield chunk


async def read_listing(namespace: str, answer: aiohttp.ClientResponse) -> Listing:
    try:
        raw = bytearray()
        async for chunk in content_of(answer):
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
