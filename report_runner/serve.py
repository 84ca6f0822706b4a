"""`report-generator serve`: the finished files of a volume, to read and nothing else.

No name is resolved as a path: each part is opened in the directory opened before, and no symbolic
link is followed, so that nothing outside of the volume can be reached.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import logging
import os
import signal
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

from report_runner.bounded_http import Limits, make_server
from report_runner.contract.files import (
    FILES_PATH,
    HEALTH_PATH,
    JSON,
    LIST_LIMIT,
    STRICT_HEADERS,
    FileEntry,
    Listing,
    headers_of,
    is_public,
    parts_of,
)
from report_runner.contract.reasons import EXIT_OK
from report_runner.logs import set_up_logging
from report_runner.telemetry import log_settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 32 * 1024  # bytes
THREADS = 8
LIMITS = Limits(connections=128)

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What opening says of a name that is no finished file: nothing there, a symbolic link, a socket.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)


@contextmanager
def opened(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of the file or directory. Raises OSError."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            below = os.open(part, _READ, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def list_directory(descriptor: int, after: str) -> Listing:
    """Finished files and directories whose names come after this one."""

    def entries() -> Iterator[FileEntry]:
        with os.scandir(descriptor) as scan:
            for entry in scan:
                if entry.name <= after or not is_public(entry.name):
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # pruned meanwhile
                if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
                    yield _entry(entry.name, found)

    page = heapq.nsmallest(LIST_LIMIT + 1, entries(), key=lambda entry: entry.name)
    more = len(page) > LIST_LIMIT
    page = page[:LIST_LIMIT]
    return Listing(entries=page, next=page[-1].name if more else None)


def _entry(name: str, found: os.stat_result) -> FileEntry:
    directory = stat.S_ISDIR(found.st_mode)
    return FileEntry(
        name=name,
        directory=directory,
        bytes=None if directory else found.st_size,
        modified=datetime.fromtimestamp(int(found.st_mtime), UTC),
    )


@dataclass(slots=True)
class Answer:
    """What a request comes to: a body, or `length` bytes of a descriptor that has to be closed."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes = b""
    descriptor: int | None = None
    length: int = 0

    def close(self) -> None:
        """Give the descriptor back; once."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def answer_to(root: Path, raw_path: bytes, query: bytes) -> Answer:
    """A file, or the entries of a directory. It blocks as long as the volume does."""
    try:
        path = unquote(raw_path.decode("ascii"), errors="strict")
        after = parse_qs(query.decode("ascii"), errors="strict").get("after", [""])[-1]
    except ValueError:
        return _plain(HTTPStatus.NOT_FOUND)
    parts = parts_of(path.removeprefix(FILES_PATH)) if path.startswith(FILES_PATH) else None
    if parts is None:
        return _plain(HTTPStatus.NOT_FOUND)
    try:
        with opened(root, parts) as descriptor:
            return _found(descriptor, parts, after, is_listing=path.endswith("/"))
    except OSError as error:
        if error.errno in _NO_FILE:
            return _plain(HTTPStatus.NOT_FOUND)
        logger.error("%s: %s", path, error)  # noqa: TRY400  (a volume's errors need no trace)
        return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _found(descriptor: int, parts: tuple[str, ...], after: str, *, is_listing: bool) -> Answer:
    found = os.fstat(descriptor)
    if is_listing and stat.S_ISDIR(found.st_mode):
        body = list_directory(descriptor, after).model_dump_json().encode()
        return Answer(HTTPStatus.OK, {"Content-Type": JSON}, body, length=len(body))
    if not is_listing and stat.S_ISREG(found.st_mode):
        headers = headers_of(parts[-1])
        return Answer(HTTPStatus.OK, headers, descriptor=os.dup(descriptor), length=found.st_size)
    return _plain(HTTPStatus.NOT_FOUND)


def _plain(status: HTTPStatus) -> Answer:
    body = f"{status.phrase}\n".encode()
    return Answer(status, {"Content-Type": "text/plain"}, body, length=len(body))


@dataclass(slots=True)
class Files:
    """ASGI application: GET and HEAD of a volume; 501 for every other method."""

    root: Path
    # A volume that hangs holds these, and not the health check.
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        gone = asyncio.ensure_future(_until_gone(receive))
        answer = await self._answer_to(scope)
        try:
            headers = STRICT_HEADERS | answer.headers | {"Content-Length": str(answer.length)}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send(
                {"type": "http.response.start", "status": answer.status.value, "headers": raw}
            )
            if scope["method"] == "GET" and answer.descriptor is not None:
                await self._copy(answer.descriptor, answer.length, gone, send)
            else:
                await send({"type": "http.response.body", "body": answer.body})
        finally:
            gone.cancel()
            answer.close()

    async def _answer_to(self, scope: Any) -> Answer:
        if scope["method"] not in ("GET", "HEAD"):
            return _plain(HTTPStatus.NOT_IMPLEMENTED)
        if scope["raw_path"] == HEALTH_PATH.encode():
            return _plain(HTTPStatus.OK)
        return await self._wait(answer_to, self.root, scope["raw_path"], scope["query_string"])

    async def _copy(
        self, descriptor: int, length: int, gone: asyncio.Future[None], send: Any
    ) -> None:
        """Where the file has become shorter, the connection ends before the announced length."""
        at = 0
        while at < length and not gone.done():
            chunk = await self._wait(os.pread, descriptor, min(CHUNK, length - at), at)
            if not chunk:
                logger.error("broken off: the file has become shorter")
                break
            at += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    async def _wait(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def serve(root: Path, host: str, port: int) -> int:
    """Until TERM; the exit code."""
    set_up_logging(*log_settings(os.environ), redact=str)  # it has no Secret
    # uvicorn raises the signal that ended it once more when it is done; it has been obeyed then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    asyncio.run(make_server(Files(root), host, port, LIMITS).serve())
    return EXIT_OK
