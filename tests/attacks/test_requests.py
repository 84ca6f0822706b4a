"""File server and admin API on loopback, called as no client library would call them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hack.testbed.admin_api import ApiProcess
from hack.testbed.waiting import UnexpectedError, wait_for
from tests.attacks import requests
from tests.attacks.arena import Arena
from tests.attacks.vectors import Attacks, Vector, Who
from tests.support.chart import RELEASE
from tests.support.files import FileServer, file_server

SECRET = b"CANARY-that-nobody-is-to-see"
HALF_OPEN = 1600
OTHERS_WAIT = 20.0  # seconds
STATUS_LINE = re.compile(rb"HTTP/1\.[01] \d{3} ")
SLOW = [
    Vector("file-connections", "half-open", Who.NETWORK, b""),
    Vector("file-connections", "slow-headers", Who.NETWORK, b"GET /files/ HTTP/1.1\r\nX: "),
    Vector("api-connections", "half-open", Who.NETWORK, b""),
    Vector("api-connections", "slow-headers", Who.NETWORK, b"GET / HTTP/1.1\r\nX: "),
    Vector(
        "api-connections",
        "slow-body",
        Who.NETWORK,
        b"POST /api/admin/scheduler/shutdown HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 9\r\n\r\n",
    ),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    root = tmp_path_factory.mktemp("files")
    day = root / "volume" / requests.DAY
    day.mkdir(parents=True)
    (day / f"{requests.STEM}.pdf").write_bytes(b"%PDF- a report")
    for hidden in (f".{requests.STEM}.pdf.tmp", f"{requests.STEM}.xlsx.tmp"):
        (day / hidden).write_bytes(SECRET)
    (day / f".{requests.STEM}.lock").write_bytes(SECRET)
    (root / "outside").mkdir()
    (root / "outside" / "secret.pdf").write_bytes(SECRET)
    (day / "out.pdf").symlink_to(root / "outside" / "secret.pdf")
    (day / "within.pdf").symlink_to(day / f"{requests.STEM}.pdf")
    (day / "away").symlink_to(root / "outside")
    (day / "loop").symlink_to(day / "loop")
    os.mkfifo(day / "pipe.pdf")
    with file_server(root / "volume") as made:
        yield made


@pytest.fixture(scope="module")
def api(arena: Arena, files: FileServer) -> Iterator[ApiProcess]:
    """With the rights of its own account."""
    arena.start_operator(fileServerUrl=f"http://127.0.0.1:{files.port}")
    kubeconfig = arena.kubeconfig_of(arena.api_account)
    log = arena.directory / "api.log"
    made = ApiProcess(kubeconfig, RELEASE, arena.operator.config_file, log)
    made.start()
    yield made
    made.kill()
    arena.stop_operator()


def _raw(port: int, request: bytes, seconds: float = 10) -> bytes:
    """All that is answered until the other side closes or falls silent."""
    received = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), seconds) as connection,
    ):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_only_finished_files_are_handed_out(files: FileServer, attacks: Attacks) -> None:
    """No path leads out of the volume, and no request stops the server."""
    for vector in requests.PATHS:
        raw = _raw(files.port, f"GET {vector.data} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = raw.partition(b"\r\n\r\n")[0]
        how = None
        if SECRET in raw or b"root:" in raw or b"PATH=" in raw:
            how = "it handed out what is none of a report's"
        elif b"X-Injected" in head or b" 500 " in head[:20]:
            how = f"it answered {head[:80]!r}"
        attacks.record(vector, how)
    for vector in requests.ODD:
        raw = _raw(files.port, vector.data)
        answers = len(STATUS_LINE.findall(raw))
        how = None
        if answers > max(vector.data.count(b" HTTP/"), 1):
            how = f"it gave {answers} answers"
        elif SECRET in raw or b"root:" in raw:
            how = "it handed out what is none of a report's"
        elif b" 500 " in raw[:20]:
            how = f"it answered {raw[:80]!r}"
        attacks.record(vector, how)
    assert files.get("/healthz").status == 200
    assert files.get(f"/files/{requests.DAY}/{requests.STEM}.pdf").status == 200
    attacks.judge([*requests.PATHS, *requests.ODD])


def test_no_other_site_calls_the_api(api: ApiProcess, attacks: Attacks) -> None:
    """A page of another site, or a name that was pointed at loopback, gets nothing done."""
    pid = api.pid
    for vector in requests.CALLERS:
        call: requests.Call = vector.data
        connection = http.client.HTTPConnection("127.0.0.1", api.api.port, timeout=20)
        connection.putrequest(call.method, call.path, skip_host=True)
        host = f"localhost:{api.api.port}" if call.host is None else call.host
        connection.putheader("Host", host.encode())
        for name, value in call.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        attacks.record(vector, f"it answered {status}" if status < 400 else None)
    assert (api.pid, api.api.get("/api/admin/scheduler/health").status) == (pid, 200)
    attacks.judge(requests.CALLERS)


def test_one_request_is_one_request(api: ApiProcess, arena: Arena, attacks: Attacks) -> None:
    """No second request is read out of the body of the first, and no input is a bare 500."""
    for vector in requests.RAW:
        raw = _raw(api.api.port, vector.data, 5)
        how = None
        if b"HTTP/1.1 202" in raw:
            how = "a shutdown was taken"
        elif raw.startswith(b"HTTP/1.1 5") and not raw.startswith(b"HTTP/1.1 501"):
            how = f"it answered {raw[:60]!r}"
        attacks.record(vector, how)
    for vector in requests.API_PATHS:
        raw = _raw(
            api.api.port, f"GET {vector.data} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 10
        )
        how = None
        if raw.startswith(b"HTTP/1.1 500") or b"root:" in raw or SECRET in raw:
            how = f"it answered {raw[:60]!r}"
        elif b"<script>alert" in raw and b"text/html" in raw:
            how = "it wrote the path as markup"
        elif raw.startswith(b"HTTP/1.1 2") and "files" in vector.data:
            how = f"it answered {raw[:60]!r}"
        attacks.record(vector, how)
    assert arena.operator.exit_code is None
    attacks.judge([*requests.RAW, *requests.API_PATHS])


def _hold(port: int, start: bytes, ask: bytes) -> str | None:
    """While so many connections say nothing, and after it, others are answered."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    held: list[socket.socket] = []
    try:
        for _ in range(HALF_OPEN):
            connection = socket.socket()
            connection.settimeout(2)
            held.append(connection)
            try:
                connection.connect(("127.0.0.1", port))
                connection.sendall(start)
            except OSError:
                break  # it takes no more, which is one way to bound them
        wait_for("others are answered", lambda: _is_well(port, ask), OTHERS_WAIT)
    except UnexpectedError as error:
        return str(error)
    else:
        return None
    finally:
        for connection in held:
            connection.close()


def _is_well(port: int, ask: bytes) -> bool:
    return b" 200 " in _raw(port, ask, 5)[:15]


def test_connections_that_say_nothing(files: FileServer, api: ApiProcess, attacks: Attacks) -> None:
    """They hold nobody up, and cost a bounded number of threads and memory."""
    healthz = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    health = (
        b"GET /api/admin/scheduler/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    for vector in SLOW:
        is_file = vector.area == "file-connections"
        port, ask = (files.port, healthz) if is_file else (api.api.port, health)
        how = _hold(port, vector.data, ask)
        if how is None and is_file and (threads := _threads(files.process.pid)) > 300:
            how = f"it holds {threads} threads"
        attacks.record(vector, how)
        if how is not None and not is_file:
            api.kill()
            api.start()
        wait_for("it answers again", partial(_is_well, port, ask))
    attacks.judge(SLOW)


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_docs_and_pages_have_a_policy(api: ApiProcess, attacks: Attacks) -> None:
    """Every answer says what its page may load, and no page loads anything from elsewhere."""
    paths = ("/", "/docs", "/redoc", "/openapi.json", "/api/admin/scheduler/status", "/nothing")
    vectors = [Vector("api-page", path, Who.RECIPIENT, path) for path in paths]
    for vector in vectors:
        answer = api.api.get(vector.data, Accept="text/html")
        policy = answer.headers.get("content-security-policy", "")
        how = None
        if "default-src" not in policy or "unsafe-eval" in policy:
            how = f"its policy is {policy!r}"
        elif "cdn." in answer.text or "https://fonts" in answer.text or "//unpkg" in answer.text:
            how = "it loads from elsewhere"
        attacks.record(vector, how)
    json.loads(api.api.get("/openapi.json").text)
    attacks.judge(vectors)
