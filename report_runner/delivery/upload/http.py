"""Places on HTTP servers: PUT at a URL, and WebDAV (RFC 4918)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp

from report_runner import mounted
from report_runner.contract.upload import HttpCredentials, HttpPutPlace, WebDavPlace
from report_runner.delivery.channel import DeliveryContext
from report_runner.delivery.upload.place import (
    CHUNK,
    CONNECT_SECONDS,
    STALL_SECONDS,
    OccupiedError,
    PlaceError,
    Stored,
    UploadFile,
    check_part,
    digest_of_stream,
    part_path,
)
from report_runner.egress.guard import Guard, guarded_connector

Result = TypeVar("Result")
Answer = aiohttp.ClientResponse

_MISSING = (404, 410)
_TAKEN = 412  # If-None-Match, or Overwrite: F
_MADE = (201, 405)  # MKCOL: 405 where the folder is there
_REFUSED = (401, 403)
_AGAIN_LATER = (408, 409, 423, 425, 429)


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A URL, and what a request to it needs."""

    url: str
    headers: dict[str, str]
    ca: Path | None
    secret: str
    context: DeliveryContext

    def run(self, work: Callable[[aiohttp.ClientSession], Awaitable[Result]]) -> Result:
        """The result of `work`. Raises PlaceError."""
        guard = Guard(self.context.egress)

        async def connected() -> Result:
            async with self._session(guard) as session:
                return await work(session)

        host = urlsplit(self.url).netloc
        try:
            return asyncio.run(connected())
        except aiohttp.ClientConnectorCertificateError as error:
            raise PlaceError(f"the certificate of {host} is not trusted: {error}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if guard.refused is not None:
                raise PlaceError(str(guard.refused), permanent=True) from error
            text = str(error) or type(error).__name__
            raise PlaceError(f"{host} cannot be used: {text}") from error

    @asynccontextmanager
    async def _session(self, guard: Guard) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(
            connector=guarded_connector(guard),
            headers={**self.headers, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                total=None, connect=CONNECT_SECONDS, sock_read=STALL_SECONDS
            ),
            auto_decompress=False,
            trust_env=False,
        ) as session:
            yield session

    def address(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{quote(path)}"

    @asynccontextmanager
    async def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> AsyncIterator[Answer]:
        """One request. No redirect is followed: it would take the credentials elsewhere."""
        tls = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        async with session.request(
            method, self.address(path), allow_redirects=False, ssl=tls, **options
        ) as answer:
            yield answer

    async def read(self, session: aiohttp.ClientSession, path: str, limit: int) -> Stored | None:
        """See Place."""
        async with self.ask(session, "GET", path) as answer:
            if answer.status in _MISSING:
                return None
            if answer.status != 200:
                raise self.problem(answer, "GET")
            return await digest_of_stream(answer.content.iter_chunked(CHUNK), limit)

    def problem(self, answer: Answer, step: str) -> PlaceError:
        """What an answer means that is none of those expected."""
        host = urlsplit(self.url).netloc
        said = f"{host} answers {step} with {answer.status}"
        reason = " ".join((answer.reason or "").split())[:60]
        said += f" {reason}" if reason else ""
        if answer.status in _REFUSED:
            secret = f" with Secret {self.secret}" if self.secret else "; set credentials"
            more = "" if step != "GET" else ", or set readBack to false where nothing may be read"
            return PlaceError(f"{said}{secret}: check what it may do{more}", permanent=True)
        if 300 <= answer.status < 400:
            return PlaceError(
                f"{said}, a redirect, which is not followed: write the URL that it leads to",
                permanent=True,
            )
        later = answer.status >= 500 or answer.status in _AGAIN_LATER
        return PlaceError(said, permanent=not later)


def _file_headers(file: UploadFile) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return {
        "Content-Type": file.media_type,
        "Content-Length": str(file.size),
        "Content-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "X-Report-Id": file.identity,
    }


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    with file.path.open("rb") as source:
        while piece := source.read(CHUNK):
            yield piece


@dataclass(frozen=True, slots=True)
class _HttpPlace:
    """A place that shows its files to a GET."""

    server: HttpServer

    @property
    def origin(self) -> str:
        """See Place."""
        return self.server.url

    def read(self, path: str, limit: int) -> Stored | None:
        """See Place."""
        return self.server.run(lambda session: self.server.read(session, path, limit))


class HttpPut(_HttpPlace):
    """PUT at the very URL: a server that shows half of a file shows it until the rest is there."""

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        """See Place. A server may not know If-None-Match: what is there was looked at before."""

        async def work(session: aiohttp.ClientSession) -> None:
            headers = _file_headers(file) | ({} if replace else {"If-None-Match": "*"})
            begin()
            async with self.server.ask(
                session, "PUT", path, data=_pieces(file), headers=headers
            ) as answer:
                if answer.status == _TAKEN and not replace:
                    raise OccupiedError(path)
                if not 200 <= answer.status < 300:
                    raise self.server.problem(answer, "PUT")

        self.server.run(work)


class WebDav(_HttpPlace):
    """Written under another name, read back, and then moved to its own."""

    def write(
        self, path: str, file: UploadFile, *, replace: bool, begin: Callable[[], None]
    ) -> None:
        """See Place."""

        async def work(session: aiohttp.ClientSession) -> None:
            part = part_path(path, file.identity)
            await self._make_folders(session, path)
            try:
                await self._put(session, part, file)
                check_part(part, await self.server.read(session, part, file.size), file)
                begin()
                await self._move(session, part, path, replace=replace)
            except BaseException:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with self.server.ask(session, "DELETE", part):
                        pass
                raise

        self.server.run(work)

    async def _make_folders(self, session: aiohttp.ClientSession, path: str) -> None:
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth]) + "/"
            async with self.server.ask(session, "MKCOL", folder) as answer:
                if answer.status not in _MADE:
                    raise self.server.problem(answer, "MKCOL")

    async def _put(self, session: aiohttp.ClientSession, part: str, file: UploadFile) -> None:
        async with self.server.ask(
            session, "PUT", part, data=_pieces(file), headers=_file_headers(file)
        ) as answer:
            if not 200 <= answer.status < 300:
                raise self.server.problem(answer, "PUT")

    async def _move(
        self, session: aiohttp.ClientSession, part: str, path: str, *, replace: bool
    ) -> None:
        headers = {
            "Destination": self.server.address(path),
            "Overwrite": "T" if replace else "F",
        }
        async with self.server.ask(session, "MOVE", part, headers=headers) as answer:
            if answer.status == _TAKEN and not replace:
                raise OccupiedError(path)
            if answer.status not in (201, 204):
                raise self.server.problem(answer, "MOVE")


def http_put_place(spec: HttpPutPlace, field: str, context: DeliveryContext) -> HttpPut:
    """Raises RunError(ConfigurationError) for a wrong Secret."""
    return HttpPut(_server(spec.url, spec.credentials, field, context))


def webdav_place(spec: WebDavPlace, field: str, context: DeliveryContext) -> WebDav:
    """Raises RunError(ConfigurationError) for a wrong Secret."""
    return WebDav(_server(spec.url, spec.credentials, field, context))


def _server(
    url: str, credentials: HttpCredentials | None, field: str, context: DeliveryContext
) -> HttpServer:
    if credentials is None:
        return HttpServer(url, {}, None, "", context)
    secret, secrets = credentials.secret_ref.name, context.secrets
    where = f"{field}.credentials.secretRef"
    ca = secrets.certificates(secret, where)
    token = secrets.read(secret, "token", where, mounted.ascii_line, "")
    if token:
        return HttpServer(url, {"Authorization": f"Bearer {token}"}, ca, secret, context)
    user = secrets.read(secret, "username", where, _username)
    password = secrets.read(secret, "password", where, mounted.password)
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return HttpServer(url, {"Authorization": f"Basic {encoded}"}, ca, secret, context)


def _username(text: str) -> str | None:
    if ":" in text:
        return "has a colon, which no user of HTTP can have"
    return mounted.password(text)
