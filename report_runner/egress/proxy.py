"""A forward proxy on loopback, for clients that resolve names by themselves (obstore).

It connects for them, to addresses that the guard allows; TLS stays between client and server.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from report_runner.egress.guard import EgressRefusedError, Guard

HEAD_LIMIT = 64 * 1024
CONNECT_SECONDS = 15.0
CHUNK = 1 << 16
_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization")


class GuardedProxy:
    """Serves in a thread of its own between `with` and its end; `problem` is the last one."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.url = ""
        self.problem = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_LIMIT)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this in one
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client sees that the connection ends, and reports it
        except asyncio.CancelledError:
            pass  # by _end, which waits for it
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.decode("latin-1").split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            host, number, path = host.strip("[]"), int(port), ""
        else:
            parts = urlsplit(target)
            if parts.scheme != "http" or not parts.hostname:
                raise ValueError(target)
            host, number = parts.hostname, parts.port or 80
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            upstream, sink = await self._connect(host, number)
        except EgressRefusedError:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        except (OSError, TimeoutError):
            self.problem = f"{host} cannot be reached"
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await _both_ways(reader, writer, upstream, sink)
            else:
                headers, length = _forwarded(rest)
                sink.write(f"{method} {path} {version}\r\n".encode("latin-1") + headers)
                sink.write(await reader.readexactly(length))
                await sink.drain()
                # Nothing more is sent on: a second request would go where the first one went.
                await _copy(upstream, writer)
        finally:
            sink.close()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problem: OSError | TimeoutError = OSError(f"{host} has no address")
        for family, address in await self.guard.addresses(host, port):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port, family=family)
            except (OSError, TimeoutError) as error:
                problem = error
        raise problem


def _forwarded(head: bytes) -> tuple[bytes, int]:
    """The header lines for the server, and the length of the body."""
    length = 0
    kept = []
    for line in head.rstrip(b"\r\n").split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in _HOP:
            continue
        if name.strip().lower() == b"content-length":
            length = int(value)
        kept.append(line)
    return b"\r\n".join([*kept, b"Connection: close", b"", b""]), length


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
) -> None:
    ways = [asyncio.create_task(_copy(reader, sink)), asyncio.create_task(_copy(upstream, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
