"""A loopback of its own for one thread, where ports that are taken on this machine are free.

Each network namespace of Linux has a 127.0.0.1 of its own, so programs that need localhost and a
fixed port run beside others that have taken the port.

"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def private_loopback(machine_ports: Iterable[int] = ()) -> Iterator[None]:
    """Give the calling thread, and all that it starts, an empty 127.0.0.1 and no other network.

    Only `machine_ports` lead to the same ports of this machine's own loopback. Other threads keep
    their network. Raises PermissionError without CAP_SYS_ADMIN.

    """
    relay = _Relay()  # its thread has to start out here: it connects to this machine's ports
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            _bring_up_lo()
            for port in machine_ports:
                relay.serve(socket.create_server(("127.0.0.1", port)), port)
            yield
        finally:
            _check(_LIBC.setns(outside, _CLONE_NEWNET))
    finally:
        os.close(outside)
        relay.stop()


def loopback_port(url: str) -> int | None:
    """The port of an HTTPS URL that leads to this machine's 127.0.0.1; None for any other URL."""
    parts = urlsplit(url)
    return (parts.port or 443) if parts.hostname in ("localhost", "127.0.0.1") else None


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _bring_up_lo() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


class _Relay:
    """Accepts on sockets of one network namespace and connects in that of its own thread.

    A socket belongs to the namespace in which it was made, whoever accepts on it.

    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        # asyncio holds tasks weakly: one that waits for two ends of its own may be collected.
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def serve(self, listener: socket.socket, port: int) -> None:
        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.transport.abort()  # refused there, so refused here
                return
            # asyncio reports a handler that ends by being cancelled, which is how `stop` ends it.
            with suppress(asyncio.CancelledError):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            far_writer.close()
            writer.close()

        started = asyncio.start_server(pass_on, sock=listener)
        self._servers.append(asyncio.run_coroutine_threadsafe(started, self._loop).result(20))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of the stream, and pass that on; an error aborts the other connection."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
