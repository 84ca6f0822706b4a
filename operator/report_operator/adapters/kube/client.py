"""The API server: plain dicts in and out, few verbs, errors with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import aiohttp

from report_operator.adapters.kube.connection import Connection, login
from report_operator.adapters.kube.decoding import decode, encode
from report_operator.adapters.kube.resources import PODS, Resource
from report_operator.domain.names import FIELD_MANAGER

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PAGE = 500  # objects in one page of a list
# Of a page of several objects: a MiB of JSON may take thirty in memory, and somebody may have
# objects of 1.5 MiB made by the hundred. A page that is larger is asked for again with fewer.
PAGE_BYTES = 8 * 1024 * 1024
DECODE_ASIDE_BYTES = 256 * 1024  # where decoding fails at first, others go on meanwhile
LOG_BYTES = 1024 * 1024  # of the end of a log
REQUEST_SECONDS = 30.0
WATCH_SECONDS = 540  # how long the server is to keep a watch
WATCH_SILENCE_SECONDS = 90.0  # it sends a bookmark every minute
CONNECTIONS = 100
TOKEN_SECONDS = 60.0  # that a token is reused before it is read again


class ListOptions(TypedDict, total=False):
    """Which objects of a kind, by selectors, and whether all of each."""

    labels: str
    fields: str
    metadata_only: bool


class ApiError(Exception):
    """An answer of the API server that is not a success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_conflict(self) -> bool:
        """Somebody else was first: read again, decide again."""
        return self.status == 409 and self.reason != "AlreadyExists"


class _PageTooLargeError(Exception):
    """A page of a list has more than PAGE_BYTES."""


class KubeClient:
    """One connection pool. Every call raises ApiError, or aiohttp.ClientError / TimeoutError."""

    def __init__(self, info: Connection) -> None:
        self.writes: Counter[str] = Counter()  # by plural; leases are not worth counting
        self._info = info
        self._told_at = time.monotonic()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=info.as_ssl_context()),
            proxy=info.proxy_url,
            # Only then: it reads the environment for proxies and netrc at each request.
            trust_env=any(name in os.environ for name in ("HTTPS_PROXY", "https_proxy")),
        )

    @classmethod
    async def connect(cls) -> Self:
        """In a pod by its service account, elsewhere by the kubeconfig. Raises LoginError."""
        return cls(login())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # it closes its connections in the next turn of the loop

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | Sequence[Body] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Body:
        """One call; the decoded answer."""
        raw = await self._send(method, path, query, body, content_type, accept)
        return await _decoded(raw) if raw else {}

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body | Sequence[Body] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        most: int | None = None,
    ) -> bytes:
        headers = {"Accept": accept, **self._authorization()}
        data = None
        if method != "GET":
            self.writes[_plural(path)] += 1
        if body is not None:
            headers["Content-Type"] = content_type
            data = encode(body)
        async with self._session.request(
            method,
            self._info.server + path,
            params=dict(query or {}),
            data=data,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        ) as response:
            if response.status >= 400:
                raise _error(response.status, await response.read())
            if most is None:
                return await response.read()
            pieces = bytearray()
            async for piece in response.content.iter_any():
                pieces += piece
                if len(pieces) > most:
                    response.close()
                    raise _PageTooLargeError
            return bytes(pieces)

    def _authorization(self) -> dict[str, str]:
        """The kubelet renews a service account's token long before it expires."""
        if self._info.token and time.monotonic() - self._told_at > TOKEN_SECONDS:
            self._info, self._told_at = login(), time.monotonic()
        return self._info.as_http_headers()

    async def get(self, kind: Resource, namespace: str, name: str) -> Body | None:
        """The object, or None where there is none."""
        try:
            return await self.request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def log_tail(self, namespace: str, pod: str, lines: int) -> list[str]:
        """The last lines that a pod wrote; none where it is gone or has not begun."""
        try:
            raw = await self._send(
                "GET",
                PODS.path(namespace, pod, "log"),
                {"tailLines": str(lines), "limitBytes": str(LOG_BYTES)},
                accept="*/*",
            )
        except ApiError as error:
            if error.status in (400, 404):
                return []
            raise
        return raw.decode(errors="replace").splitlines()

    async def list(
        self, kind: Resource, namespace: str | None = None, **chosen: Unpack[ListOptions]
    ) -> list[Body]:
        """All objects at once; where there may be thousands, go through `each`."""
        return [body async for body in self.each(kind, namespace, **chosen)]

    async def each(
        self, kind: Resource, namespace: str | None = None, **chosen: Unpack[ListOptions]
    ) -> AsyncIterator[Body]:
        """One object after the other, read in pages."""
        async for _, bodies in self.pages(kind, namespace, **chosen):
            for body in bodies:
                yield body

    async def pages(
        self, kind: Resource, namespace: str | None = None, **chosen: Unpack[ListOptions]
    ) -> AsyncIterator[tuple[str, Iterator[Body]]]:
        """At least one page: the version of the whole list, and some objects."""
        limit = PAGE
        query: dict[str, str] = {}
        if labels := chosen.get("labels"):
            query["labelSelector"] = labels
        if fields := chosen.get("fields"):
            query["fieldSelector"] = fields
        accept = METADATA_ONLY if chosen.get("metadata_only") else "application/json"
        while True:
            query["limit"] = str(limit)
            try:
                raw = await self._send(
                    "GET",
                    kind.path(namespace),
                    query,
                    accept=accept,
                    most=PAGE_BYTES if limit > 1 else None,
                )
            except _PageTooLargeError:
                limit = max(limit // 4, 1)
                continue
            page = await _decoded(raw)
            # The items of a list do not say what they are; events of a watch do.
            said = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
            meta = page["metadata"]
            yield meta["resourceVersion"], (said | item for item in page.get("items") or ())
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]
            limit = min(2 * limit, PAGE)

    @contextlib.asynccontextmanager
    async def watch(
        self, kind: Resource, namespace: str | None, version: str, *, labels: str = ""
    ) -> AsyncIterator[AsyncGenerator[tuple[str, Body]]]:
        """ADDED, MODIFIED or DELETED, and the object: changes after a list of that version.

        They end after some minutes. Both the start and the events raise ApiError also where the
        server has forgotten the version.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        if labels:
            query["labelSelector"] = labels
        async with asyncio.timeout(REQUEST_SECONDS):
            response = await self._session.get(
                self._info.server + kind.path(namespace),
                params=query,
                headers={"Accept": "application/json", **self._authorization()},
                timeout=aiohttp.ClientTimeout(total=None, sock_read=WATCH_SILENCE_SECONDS),
            )
        async with response:
            if response.status >= 400:
                raise _error(response.status, await response.read())
            async with contextlib.aclosing(_events(response)) as events:
                yield events

    async def create(self, kind: Resource, namespace: str, body: Body) -> Body | None:
        """The created object, or None where one of that name exists already."""
        try:
            return await self.request(
                "POST", kind.path(namespace), body=body, query={"fieldManager": FIELD_MANAGER}
            )
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return None
            raise

    async def json_patch(
        self, kind: Resource, namespace: str, name: str, operations: Sequence[Body]
    ) -> Body:
        """JSON patch. Name metadata.uid in it to refuse a successor of the same name."""
        return await self.request(
            "PATCH",
            kind.path(namespace, name),
            body=operations,
            content_type=JSON_PATCH,
            query={"fieldManager": FIELD_MANAGER},
        )

    async def patch(
        self, kind: Resource, namespace: str, name: str, body: Body, *, subresource: str = ""
    ) -> Body:
        """JSON merge patch. Name metadata.resourceVersion in it to refuse a stale decision."""
        return await self.request(
            "PATCH",
            kind.path(namespace, name, subresource),
            body=body,
            content_type=MERGE_PATCH,
            query={"fieldManager": FIELD_MANAGER},
        )

    async def replace_status(self, kind: Resource, body: Body) -> Body:
        """Write the status of exactly the version in `body`; a newer one is a conflict."""
        meta = body["metadata"]
        return await self.request(
            "PUT", kind.path(meta["namespace"], meta["name"], "status"), body=body
        )

    async def delete(self, kind: Resource, namespace: str, name: str, uid: str) -> bool:
        """Delete exactly this object and what it owns; False where it is gone already."""
        try:
            await self.request(
                "DELETE",
                kind.path(namespace, name),
                body={
                    "apiVersion": "v1",
                    "kind": "DeleteOptions",
                    "propagationPolicy": "Background",
                    "preconditions": {"uid": uid},
                },
            )
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise
        return True


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[tuple[str, Body]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = await _decoded(line)
            told, body = event["type"], event["object"]
            if told == "ERROR":
                raise ApiError(
                    body.get("code", 500), body.get("reason", ""), body.get("message", "")
                )
            if told != "BOOKMARK":
                yield told, body


async def _decoded(raw: bytes) -> Body:
    """Raises aiohttp.ClientPayloadError for what is no JSON: it was cut off on its way."""
    try:
        if len(raw) < DECODE_ASIDE_BYTES:
            body: Body = decode(raw)
        else:
            body = await asyncio.to_thread(decode, raw)
    except ValueError as error:
        raise aiohttp.ClientPayloadError(f"the API server sent no JSON: {error}") from error
    return body


def _plural(path: str) -> str:
    """`/apis/batch/v1/namespaces/x/jobs/y` → `jobs`."""
    parts = path.partition("/namespaces/")[2].split("/")
    return parts[1] if len(parts) > 1 else "namespaces"


def _error(status: int, raw: bytes) -> ApiError:
    try:
        answer = decode(raw)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, "", raw[:300].decode(errors="replace"))
