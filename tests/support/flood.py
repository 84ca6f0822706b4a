"""Peers that hold connections: many half-open ones, slow ones, ones that never read."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hack.testbed.waiting import wait_for

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "


@contextmanager
def half_open(port: int, count: int, said: bytes = HALF) -> Iterator[list[socket.socket]]:
    """So many connections that have said this and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    found: list[socket.socket] = []
    try:
        for _ in range(count):
            found.append(socket.create_connection(("127.0.0.1", port), 30))
            found[-1].sendall(said)
        yield found
    finally:
        for each in found:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_over(connection: socket.socket) -> bool:
    """Whether the other end has ended it."""
    connection.setblocking(False)
    try:
        return not connection.recv(1 << 20)
    except BlockingIOError:
        return False
    except OSError:
        return True


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other end closes. Raises ConnectionResetError if it does not."""
    connection.settimeout(60)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def wait_until_over(connections: Sequence[socket.socket], seconds: float = 60) -> None:
    wait_for("they are ended", lambda: all(map(is_over, connections)), seconds)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def seconds_of(work: object) -> float:
    assert callable(work)
    start = time.monotonic()
    work()
    return time.monotonic() - start
