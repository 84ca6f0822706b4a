"""Who gives way where too many connections are open, with a real server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import until
from report_runner.bounded_http import BoundedProtocol, Connections, Limits, Wait

CHUNK = b"x" * 65536
ANSWER = 64 * 1024 * 1024  # bytes: more than the sockets' buffers take
READERS = 4
Message = dict[str, Any]


async def app(scope: Message, _receive: object, send: Callable[[Message], Awaitable[None]]) -> None:
    """A large answer at /large, a short one elsewhere."""
    length = ANSWER if scope["path"] == "/large" else 2
    headers = [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(length // len(CHUNK)):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok" if length == 2 else b""})


async def eventually(what: str, holds: Callable[[], bool]) -> None:
    async def held() -> bool:
        return holds()

    await until(what, held)


async def ask(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


@pytest.mark.parametrize("limit", [READERS, READERS + 1])
def test_who_has_asked_a_moment_ago_does_not_give_way(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """The look at all connections may come between accepting one and reading what it sent."""
    known = Connections(Limits(connections=limit))
    port = free_port()
    settings = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=known.protocol, ws="none", lifespan="off",  # type: ignore[arg-type]
        log_config=None, access_log=False,
    )  # fmt: skip
    server = uvicorn.Server(settings)

    def look_at_once(self: Connections, one: BoundedProtocol) -> None:
        self._open.add(one)
        self._of_peer[one.peer] += 1
        self._look(one.loop)

    async def story() -> bytes:
        serving = asyncio.create_task(server.serve())
        await eventually("it serves", lambda: server.started)
        held = [await ask(port, "/large") for _ in range(READERS)]
        await eventually(
            "nobody reads",
            lambda: [one.look(one.loop.time()) for one in known._open] == [Wait.READING] * READERS,
        )
        monkeypatch.setattr(Connections, "add", look_at_once)
        reader, writer = await ask(port, "/")
        answer = await reader.read()
        for _, each in [*held, (reader, writer)]:
            each.close()
        server.should_exit = True
        await serving
        return answer

    assert asyncio.run(story()).endswith(b"ok")
