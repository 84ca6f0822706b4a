"""One request to an ASGI application, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str


def ask(app: ASGIApp, method: str, target: str, **more: str) -> Reply:
    """`reply_of` in an event loop of its own."""
    return asyncio.run(reply_of(app, method, target, **more))


async def reply_of(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    body: str = "",
    client: str = "127.0.0.1",
    **headers: str,
) -> Reply:
    """The reply to a browser on this machine; `client` is the request's source address."""
    path, _, query = target.partition("?")
    told = {"host": "localhost:3000", "accept": "text/html", **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in told.items()
        ],
        "client": (client, 50_000),
        "server": ("localhost", 3000),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Reply(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]).decode(),
    )
