"""`report-generator serve` under peers that hold connections, and say or take nothing."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from tests.support.files import FileServer, file_server
from tests.support.flood import (
    half_open,
    is_over,
    open_files,
    read_all,
    resident_bytes,
    threads_of,
    wait_until_over,
)

REPORT = "2026/11/24/reports_daily_20261124T050000Z.pdf"
BIG = 64 * 1024 * 1024  # bytes: more than the sockets' buffers take
MANY = 2000
SPARE = 40 * 1024 * 1024  # bytes of memory that an attack may take


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    report = tmp_path / "volume" / REPORT
    report.parent.mkdir(parents=True)
    with report.open("wb") as stream:
        stream.truncate(BIG)
    (report.parent / "small.csv").write_text("a,b\n")
    with file_server(tmp_path / "volume") as made:
        yield made


def is_served(server: FileServer) -> None:
    assert server.get("/files/2026/11/24/small.csv").body == b"a,b\n"


def test_thousands_of_half_open_connections(server: FileServer) -> None:
    is_served(server)
    pid = server.process.pid
    files, memory = open_files(pid), resident_bytes(pid)
    with half_open(server.port, MANY) as peers:
        for _ in range(5):
            is_served(server)
        assert open_files(pid) < 400
        assert threads_of(pid) < 40
        assert resident_bytes(pid) - memory < SPARE
        wait_until_over(peers)  # though they stay
        is_served(server)
    wait_for("its files are closed", lambda: open_files(pid) <= files + 2, 30)
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "said", [b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "]
)
def test_a_head_that_comes_byte_by_byte_is_not_waited_for(server: FileServer, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(said)

        def over() -> bool:
            if is_over(slow):
                return True
            if said:
                slow.send(b"x")
            return False

        wait_for("it is ended", over, 40)


def test_connections_that_read_nothing(server: FileServer) -> None:
    pid = server.process.pid
    is_served(server)
    files, memory = open_files(pid), resident_bytes(pid)
    request = f"GET /files/{REPORT} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with half_open(server.port, 400, request) as peers:
        for _ in range(5):
            is_served(server)
        assert threads_of(pid) < 40
        assert resident_bytes(pid) - memory < SPARE
        wait_for("their files are closed", lambda: open_files(pid) <= files + 2, 120)
        assert all(peer.fileno() > 0 for peer in peers)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/files/{REPORT}") as whole:
        assert sum(len(chunk) for chunk in iter(lambda: whole.read(1 << 20), b"")) == BIG


def test_a_body_that_never_ends_and_a_head_without_bound(server: FileServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as endless:
        endless.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|Broken pipe|timed out"):
            send_for_ever(endless)
    with socket.create_connection(("127.0.0.1", server.port)) as wide:
        wide.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 1_000_000)
        answer = read_all(wide)  # and not a reset, of which a port-forward would die
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"default-src 'none'" in answer
    is_served(server)


def send_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def test_every_answer_has_the_policy(server: FileServer) -> None:
    for path in ("/healthz", "/files/", f"/files/{REPORT}", "/files/none", "/files/%ff", "/x"):
        for method in ("HEAD", "POST"):
            headers = server.call(method, path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "cache-control" in headers
