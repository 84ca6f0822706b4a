"""Requests to a server that an author names: guarded, bounded, repeated where that may help."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp
import stamina
from yarl import URL

from report_runner.contract.reasons import Reason
from report_runner.egress.guard import Guard, guarded_connector
from report_runner.models import RunError

ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds
CONNECT_SECONDS, READ_SECONDS = 15.0, 60.0
REDIRECTS = 5
CHUNK = 1 << 16
_FOLLOWED = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429)
_ACCEPT_ENCODING = "gzip"


class TransientError(Exception):
    """Trying again may help; `pause` is what the server asks for, in seconds."""

    def __init__(self, problem: str, pause: float | None = None) -> None:
        super().__init__(problem)
        self.problem, self.pause = problem, pause


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`private` headers are sent to the origin of `url` alone."""

    url: URL
    method: str = "GET"
    body: bytes | None = None
    private: Mapping[str, str] = field(default_factory=dict)
    accept: str = "*/*"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer with status 200; `next_url` is that of `Link: rel=next`."""

    content: bytes
    media_type: str
    next_url: URL | None


def origin(url: URL) -> str:
    """How a server is called in messages: nothing of path and query."""
    return str(url.origin())


def is_web_address(url: URL) -> bool:
    """Whether it names a server of http or https, and no user."""
    return url.scheme in ("http", "https") and bool(url.host) and not url.user


class HttpClient:
    """All requests of one source, within its bounds of time and bytes."""

    def __init__(
        self, name: str, guard: Guard, deadline: float, max_bytes: int, trust: ssl.SSLContext | None
    ) -> None:
        """`name` is the source's field in messages; `deadline` a time of the running loop."""
        self.name, self.guard, self.deadline = name, guard, deadline
        self.max_bytes, self.left = max_bytes, max_bytes
        self.last: TransientError | None = None
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(guard),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
        )
        self._ssl = trust if trust is not None else True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self._session.close()

    def wrong(self, problem: str) -> RunError:
        """An error that no retry mends."""
        return RunError(Reason.CONFIGURATION_ERROR, f"{self.name}: {problem}")

    async def ask(self, request: HttpRequest) -> HttpAnswer:
        """The answer, after retries. Raises RunError."""
        tried = 0
        try:
            async for attempt in stamina.retry_context(
                on=self._pause,
                attempts=ATTEMPTS,
                timeout=None,
                wait_initial=FIRST_PAUSE,
                wait_max=LONGEST_PAUSE,
            ):
                with attempt:
                    tried += 1
                    answer = await self._follow(request)
                    self.last = None
                    return answer
        except TransientError as error:
            raise RunError(
                Reason.EXTERNAL_SOURCE_UNAVAILABLE,
                f"{self.name}: {origin(request.url)} {error.problem} (tried {tried} times)",
            ) from None
        raise AssertionError("stamina ends with an answer or an error")

    def _pause(self, error: Exception) -> bool | float:
        """Whether to try again, and after how many seconds where the server says so."""
        if not isinstance(error, TransientError):
            return False
        self.last = error
        if error.pause is None:
            return True
        left = self.deadline - asyncio.get_running_loop().time()
        if error.pause >= left:
            return False
        # Not all runs at once, where a server told all of them the same.
        return min(error.pause + random.random(), left)  # noqa: S311

    async def _follow(self, request: HttpRequest) -> HttpAnswer:
        """Redirects of a GET: each address is judged, credentials stay with their origin."""
        url = request.url
        for _ in range(REDIRECTS + 1):
            private = request.private if url.origin() == request.url.origin() else {}
            found = await self._send(url, request, private)
            if isinstance(found, HttpAnswer):
                return found
            if request.method != "GET":
                raise self.wrong(
                    f"{origin(url)} redirects, and a {request.method} is not sent to another "
                    "address: write the URL that it leads to"
                )
            if not is_web_address(found):
                raise self.wrong(f"{origin(url)} redirects to what is no http or https address")
            if url.scheme == "https" and found.scheme == "http":
                raise self.wrong(
                    f"{origin(url)} redirects from https to http, which is not followed: write "
                    "an https URL that answers by itself"
                )
            url = found
        raise self.wrong(f"{origin(request.url)} redirects more than {REDIRECTS} times")

    async def _send(
        self, url: URL, request: HttpRequest, private: Mapping[str, str]
    ) -> HttpAnswer | URL:
        headers = {"Accept": request.accept, "Accept-Encoding": _ACCEPT_ENCODING, **private}
        headers.setdefault("User-Agent", "report-scheduler")
        if request.body is not None:
            headers.setdefault("Content-Type", "application/json")
        self.guard.refused = None
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers, ssl=self._ssl,
                allow_redirects=False,
            ) as response:  # fmt: skip
                return await self._judge(response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise self.wrong(
                f"the certificate of {origin(url)} is not trusted: name a Secret with its "
                "authority's ca.crt in caSecretRef"
            ) from error
        except aiohttp.InvalidURL:
            raise self.wrong(f"{origin(url)}: its host is no name or address") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if self.guard.refused is not None:
                raise self.wrong(str(self.guard.refused)) from None
            raise TransientError(_connection_problem(error)) from error

    async def _judge(self, response: aiohttp.ClientResponse) -> HttpAnswer | URL:
        status, server = response.status, origin(response.url)
        if status == HTTPStatus.OK:
            content = await self._read(response)
            return HttpAnswer(content, response.content_type, self._next_url(response))
        if status in _FOLLOWED and "Location" in response.headers:
            try:
                return response.url.join(URL(response.headers["Location"]))
            except ValueError:
                raise self.wrong(f"{server} redirects to what is no address") from None
        said = f"answered {status} {_phrase(status)}".rstrip()
        if status in _TRANSIENT or status >= 500:
            raise TransientError(said, _retry_after(response.headers.get("Retry-After")))
        if status == HTTPStatus.UNAUTHORIZED:
            raise UnauthorizedError(
                f"{self.name}: {server} {said}: it does not take the credentials; check auth and "
                "its Secret"
            )
        if status == HTTPStatus.FORBIDDEN:
            raise self.wrong(f"{server} {said}: these credentials may not read this")
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise self.wrong(f"{server} {said}: there is nothing at this path; check url and query")
        raise self.wrong(f"{server} {said}, expected 200 with rows")

    def _next_url(self, response: aiohttp.ClientResponse) -> URL | None:
        try:
            link = response.links.get("next")
            following = link.get("url") if link is not None else None
            found = URL(following) if following else None
        except ValueError:
            found = URL()
        if found is not None and not is_web_address(found):
            raise self.wrong(
                f"{origin(response.url)} answers with a Link to what is no http or https address"
            )
        return found

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise self.wrong(
                f"{origin(response.url)} answers with Content-Encoding {coding[:40]!r}, which was "
                "not asked for"
            )
        inflater = Inflater(self.left) if "gzip" in coding else None
        parts: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(CHUNK):
            part = inflater.feed(chunk) if inflater else chunk
            size += len(part)
            if size > self.left or (inflater and inflater.too_large):
                raise self.wrong(
                    f"{origin(response.url)} answers with more than maxBytes ({self.max_bytes}); "
                    "ask for less, or raise it"
                )
            parts.append(part)
        if inflater is not None and not inflater.whole:
            raise TransientError("ended its answer before it was whole")
        self.left -= size
        return b"".join(parts)


class UnauthorizedError(RunError):
    """The server does not take the credentials."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.CONFIGURATION_ERROR, message)


class Inflater:
    """Decompresses gzip, no more than `limit` bytes and some of it."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._stream = zlib.decompressobj(31)
        self._begun = False

    @property
    def too_large(self) -> bool:
        return self._size > self._limit

    @property
    def whole(self) -> bool:
        """Whether it ended where gzip itself says that it ends."""
        return self._stream.eof or not self._begun

    def feed(self, chunk: bytes) -> bytes:
        """Raises TransientError for what is no gzip."""
        found = []
        while chunk and not self.too_large:
            if self._stream.eof:  # the file goes on with a further member
                self._stream = zlib.decompressobj(31)
            self._begun = True
            try:
                part = self._stream.decompress(chunk, self._limit - self._size + 1)
            except zlib.error:
                raise TransientError("sent an answer that cannot be decompressed") from None
            self._size += len(part)
            found.append(part)
            chunk = self._stream.unused_data or self._stream.unconsumed_tail
        return b"".join(found)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3); None where it is neither."""
    if value is None:
        return None
    if value.strip().isdigit() and value.isascii():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _connection_problem(error: BaseException) -> str:
    """In words of ours: the texts of the library have addresses and parts of answers."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "has no address: its name is not known"
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return "does not speak TLS as expected"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "ended its answer before it was whole"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return "answered with what is no HTTP"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return f"cannot be reached: {os.strerror(number)}"
    return f"cannot be reached ({type(error).__name__})"
