"""The connection to the API server: sending, streaming, decoding."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp

from report_operator.adapters.kube.decoding import decode, encode
from report_operator.adapters.kube.errors import ApiError, api_error
from report_operator.adapters.kube.login import Credentials, login

Body = dict[str, Any]

JSON = "application/json"
DECODE_ASIDE_BYTES = 256 * 1024  # larger answers are decoded in a thread
REQUEST_SECONDS = 30.0
WATCH_SILENCE_SECONDS = 90.0  # the server sends a bookmark every minute
CONNECTIONS = 100
TOKEN_SECONDS = 60.0  # that a cached token may be reused


class AnswerTooLargeError(Exception):
    """An answer has more bytes than were asked for."""


class Connection:
    """One pool. Every call raises ApiError, or aiohttp.ClientError / TimeoutError."""

    def __init__(self, info: Credentials) -> None:
        self.writes: Counter[str] = Counter()  # by plural; without leases
        self._info = info
        self._logged_in_at = time.monotonic()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=info.as_ssl_context()),
            proxy=info.proxy_url,
            # Only then: it reads the environment for proxies and netrc at each request.
            trust_env=any(name in os.environ for name in ("HTTPS_PROXY", "https_proxy")),
        )

    async def close(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # it closes its connections in the next turn of the loop

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | Sequence[Body] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        max_bytes: int | None = None,
    ) -> bytes:
        """The undecoded answer. Raises AnswerTooLargeError beyond `max_bytes`."""
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
                raise api_error(response.status, await response.read())
            if max_bytes is None:
                return await response.read()
            received = bytearray()
            async for piece in response.content.iter_any():
                received += piece
                if len(received) > max_bytes:
                    response.close()
                    raise AnswerTooLargeError
            return bytes(received)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncGenerator[tuple[str, Body]]]:
        """The events of a watch, until the server ends it."""
        async with asyncio.timeout(REQUEST_SECONDS):
            response = await self._session.get(
                self._info.server + path,
                params=query,
                headers={"Accept": JSON, **self._authorization()},
                timeout=aiohttp.ClientTimeout(total=None, sock_read=WATCH_SILENCE_SECONDS),
            )
        async with response:
            if response.status >= 400:
                raise api_error(response.status, await response.read())
            async with contextlib.aclosing(_events(response)) as events:
                yield events

    def _authorization(self) -> dict[str, str]:
        """The kubelet renews a service account's token long before it expires."""
        if self._info.token and time.monotonic() - self._logged_in_at > TOKEN_SECONDS:
            self._info, self._logged_in_at = login(), time.monotonic()
        return self._info.as_http_headers()


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[tuple[str, Body]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = await decode_body(line)
            kind, body = event["type"], event["object"]
            if kind == "ERROR":
                raise ApiError(
                    body.get("code", 500), body.get("reason", ""), body.get("message", "")
                )
            if kind != "BOOKMARK":
                yield kind, body


async def decode_body(raw: bytes) -> Body:
    """Raises aiohttp.ClientPayloadError for invalid JSON, such as an answer that was cut off."""
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
