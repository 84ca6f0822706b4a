"""`report-generator serve`: the finished files of a volume over HTTP, read-only.

No name is resolved as a path: each part is opened in the directory opened before, and no symbolic
link is followed, so that nothing outside of the volume can be reached.
"""

from __future__ import annotations

import errno
import heapq
import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from report_runner.contract.files import (
    FILES_PATH,
    HEALTH_PATH,
    JSON,
    LIST_LIMIT,
    FileEntry,
    Listing,
    headers_of,
    is_public,
    parts_of,
)
from report_runner.contract.reasons import EXIT_OK

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Errors of opening a name that is no finished file: missing, a symbolic link, a socket.
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


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD, one request a connection; other methods are answered 501 by the base class."""

    server_version = "report-generator"
    sys_version = ""
    timeout = 30  # seconds without data after which a connection is closed
    root: Path

    def do_GET(self) -> None:
        """A file, or the entries of a directory."""
        self._answer()

    def do_HEAD(self) -> None:
        """The headers of GET."""
        self._answer()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged here: the admin API in front logs them with the user."""

    def _answer(self) -> None:
        try:
            url = urlsplit(self.path)
            path = unquote(url.path, errors="strict")
            after = parse_qs(url.query, errors="strict").get("after", [""])[-1]
        except ValueError:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if path == HEALTH_PATH:
            self._refuse(HTTPStatus.OK)
            return
        parts = parts_of(path.removeprefix(FILES_PATH)) if path.startswith(FILES_PATH) else None
        if parts is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            with opened(self.root, parts) as descriptor:
                self._send(descriptor, parts, after, is_listing=path.endswith("/"))
        except OSError as error:
            if error.errno in _NO_FILE:
                self._refuse(HTTPStatus.NOT_FOUND)
                return
            self.log_error("%s: %s", path, error)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _send(
        self, descriptor: int, parts: tuple[str, ...], after: str, *, is_listing: bool
    ) -> None:
        found = os.fstat(descriptor)
        if is_listing and stat.S_ISDIR(found.st_mode):
            listing = list_directory(descriptor, after)
            self._say(HTTPStatus.OK, JSON, listing.model_dump_json().encode())
        elif not is_listing and stat.S_ISREG(found.st_mode):
            self._head(HTTPStatus.OK, headers_of(parts[-1]), found.st_size)
            if self.command == "GET" and found.st_size:
                self._copy(descriptor, found.st_size)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _copy(self, descriptor: int, size: int) -> None:
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            try:
                self.connection.sendfile(stream, 0, size)
            except (
                OSError
            ) as error:  # the client is gone, or sees by the length that the content is cut
                self.log_error("broken off: %s", error)

    def _head(self, status: HTTPStatus, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _refuse(self, status: HTTPStatus) -> None:
        self._say(status, "text/plain", f"{status.phrase}\n".encode())

    def _say(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._head(status, {"Content-Type": kind}, len(body))
        if self.command == "GET":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """On shutdown, requests that are being answered are finished."""

    daemon_threads = False
    request_queue_size = 64


def serve(root: Path, host: str, port: int) -> int:
    """Serve until SIGTERM; returns the exit code."""
    handler = type("RootedHandler", (Handler,), {"root": root})
    with Server((host, port), handler) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the loop that the signal interrupts: it needs its own thread.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
    return EXIT_OK
