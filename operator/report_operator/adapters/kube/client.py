"""The verbs of the API server: plain dicts in and out, errors with a reason."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack

from report_operator.adapters.kube import listing
from report_operator.adapters.kube.connection import JSON, Body, Connection, decode_body
from report_operator.adapters.kube.errors import ApiError
from report_operator.adapters.kube.listing import ListOptions
from report_operator.adapters.kube.login import Credentials, login
from report_operator.adapters.kube.resources import PODS, Resource
from report_operator.domain.names import FIELD_MANAGER

__all__ = ["ApiError", "Body", "KubeClient", "ListOptions"]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

LOG_BYTES = 1024 * 1024  # of the end of a log
WATCH_SECONDS = 540  # after which the server ends a watch


class KubeClient:
    """Every call raises ApiError, or aiohttp.ClientError / TimeoutError."""

    def __init__(self, info: Credentials) -> None:
        self._connection = Connection(info)
        self.writes = self._connection.writes

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
        await self._connection.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | Sequence[Body] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Body:
        """The decoded answer; {} where it is empty."""
        raw = await self._connection.send(method, path, query, body, content_type, accept)
        return await decode_body(raw) if raw else {}

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
            raw = await self._connection.send(
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
        self, kind: Resource, namespace: str | None = None, **options: Unpack[ListOptions]
    ) -> list[Body]:
        """All objects at once; where there may be thousands, use `iterate`."""
        return [body async for body in self.iterate(kind, namespace, **options)]

    async def iterate(
        self, kind: Resource, namespace: str | None = None, **options: Unpack[ListOptions]
    ) -> AsyncIterator[Body]:
        """Object by object, read in pages."""
        async for _, bodies in self.pages(kind, namespace, **options):
            for body in bodies:
                yield body

    def pages(
        self, kind: Resource, namespace: str | None = None, **options: Unpack[ListOptions]
    ) -> AsyncIterator[tuple[str, Iterator[Body]]]:
        """At least one page: the version of the whole list, and some objects."""
        return listing.pages(self._connection, kind.path(namespace), options)

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
        async with self._connection.stream(kind.path(namespace), query) as events:
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
