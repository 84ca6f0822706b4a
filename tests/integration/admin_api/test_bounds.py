"""The admin API under peers that hold connections, and send too much or too slowly."""

from __future__ import annotations

import json
import socket

from hack.testbed.admin_api import SCHEDULER, Api, ApiProcess
from hack.testbed.namespace import Namespace
from hack.testbed.waiting import wait_for
from tests.support.flood import (
    half_open,
    open_files,
    read_all,
    resident_bytes,
    seconds_of,
    wait_until_over,
)

GENERATE = "/api/admin/reports/generate"
MANY = 2000
SPARE = 64 * 1024 * 1024  # bytes of memory that an attack may take
SLOW_BODY = (
    f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Content-Length: 1000\r\n\r\n{"
).encode()


def is_served(api: Api) -> None:
    assert api.get(f"{SCHEDULER}/jobs").status == 200


def test_half_open_connections_and_slow_bodies(
    namespace: Namespace, api: Api, api_process: ApiProcess
) -> None:
    is_served(api)
    pid = api_process.pid
    files, memory = open_files(pid), resident_bytes(pid)
    with half_open(api.port, MANY) as peers, half_open(api.port, 300, SLOW_BODY) as slow:
        # The machine may be busy: without the bounds it is the time-out of the call, 30 s.
        assert seconds_of(lambda: is_served(api)) < 15
        for _ in range(5):
            is_served(api)
        assert open_files(pid) < 700
        assert resident_bytes(pid) - memory < SPARE
        wait_until_over([*peers, *slow])
        is_served(api)
    wait_for("its files are closed", lambda: open_files(pid) <= files + 3, 30)


def post(api: Api, head: str, body: bytes) -> bytes:
    """What comes back for a body that is sent whole before anything is read."""
    with socket.create_connection(("127.0.0.1", api.port), 60) as connection:
        connection.sendall(
            f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\n{head}\r\n\r\n".encode()
        )
        connection.sendall(body)
        return read_all(connection)  # a reset would raise


def test_bodies_over_the_limit_are_read_and_answered(api: Api) -> None:
    chunked = b"".join(b"10000\r\n" + b"x" * 0x10000 + b"\r\n" for _ in range(40)) + b"0\r\n\r\n"
    for answer in (
        post(api, "Transfer-Encoding: chunked", chunked),
        post(api, f"Content-Length: {1 << 21}", b"x" * (1 << 21)),
    ):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"content-security-policy: default-src 'none'" in head.lower()
        problem = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
        assert problem["status"] == 413


def test_malformed_heads_are_refused(api: Api) -> None:
    for head in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 100_000 + b"\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\0\0" * 10_000,
    ):
        with socket.create_connection(("127.0.0.1", api.port), 60) as connection:
            connection.sendall(head)
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 400 "), head[:40]
        assert b"application/problem+json" in answer
        assert b"default-src 'none'" in answer
    is_served(api)
