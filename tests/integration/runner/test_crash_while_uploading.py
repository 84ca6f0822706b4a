"""A run dies while uploading, at each step: the file is there once and whole afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from hack.testbed.waiting import wait_for
from report_runner.contract import pod
from report_runner.contract.result import Outcome
from tests.support.http_files import HttpFiles, http_files
from tests.support.runner import Pod

CSV = "positions/positions-2026-01-05.csv"
INLINE = [{"name": "positions", "inline": {"rows": [{"isin": "ISIN1"}]}}]
CONTENT = b"\xef\xbb\xbfisin\r\nISIN1\r\n"
ALLOW = {pod.ENV_EGRESS_ALLOW: "127.0.0.1/32"}

# Of the requests of one upload, in their order: which one, and whether it was carried out.
STEPS = {
    "httpPut": [("GET", 1), ("PUT", 1), ("GET", 2)],
    "webdav": [("GET", 1), ("MKCOL", 1), ("PUT", 1), ("GET", 2), ("MOVE", 1), ("GET", 3)],
}


@pytest.fixture
def server() -> Iterator[HttpFiles]:
    with http_files() as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize(
    ("number", "kind", "method", "nth"),
    [
        *((signal.SIGKILL, kind, *step) for kind, steps in STEPS.items() for step in steps),
        (signal.SIGTERM, "httpPut", "PUT", 1),
        (signal.SIGTERM, "webdav", "MOVE", 1),
    ],
)
def test_file_is_there_once_and_whole(
    here: Pod,
    server: HttpFiles,
    kind: str,
    method: str,
    nth: int,
    carried_out: bool,
    number: signal.Signals,
) -> None:
    place = {"name": "portal", kind: {"url": server.url}}
    here.define("", upload={"to": [place]}, sources=INLINE, formats=["csv"])
    reached = False

    async def stop(request: web.Request) -> None:
        nonlocal reached
        if sum(line.startswith(method) for line in server.requests) == nth and (
            request.method == method
        ):
            reached = True
            await asyncio.Event().wait()

    setattr(server, "after" if carried_out else "before", stop)
    with here.start(**ALLOW) as process:
        wait_for("the step is reached", lambda: reached or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(number)
        process.communicate(timeout=30)
    visible = {path for path in server.files if not path.endswith(".part")}
    assert all(server.files[path] == CONTENT for path in visible)

    setattr(server, "after" if carried_out else "before", type(server).__dict__["before"])
    writes = len([line for line in server.requests if line.startswith(("PUT", "MOVE"))])
    there = CSV in server.files
    code, result, log = here.run(**ALLOW)
    assert (code, result.outcome) == (0, Outcome.SUCCEEDED), log
    assert server.files == {CSV: CONTENT}
    # What was there already was recognised, and not written a second time.
    assert there == (
        writes == len([line for line in server.requests if line.startswith(("PUT", "MOVE"))])
    )
    assert [item.channel for item in result.deliveries] == ["upload"]
    before = len(server.requests)
    code, result, _ = here.run(**ALLOW)
    assert (code, [item.status.value for item in result.deliveries]) == (0, ["alreadySent"])
    assert len(server.requests) == before
