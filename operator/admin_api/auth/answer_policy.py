"""Security headers of every answer: of routes, errors, refusals and files."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.errors import PROBLEM
from admin_api.web.html import HEADERS

logger = logging.getLogger(__name__)

FAILED = "the admin API failed; its log has the reason"
FRAMES = {"X-Frame-Options": "DENY"}  # reports have a policy of their own, without frame-ancestors


class AnswerPolicy:
    """The outermost ASGI middleware: sets headers, and turns exceptions into problem documents.

    A header that a route sets itself is kept (files, static assets).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = ended = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun, ended
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                for name, value in (HEADERS | FRAMES).items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if begun and not ended:
                raise  # closes the connection, so that half an answer is not taken for a whole one
            if not begun:
                await _failed(scope["path"], send_with_headers)


async def _failed(path: str, send: Send) -> None:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": FAILED,
        "instance": path,
    }
    headers = [(b"content-type", PROBLEM.encode())]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    body = json.dumps(problem).encode()
    await send({"type": "http.response.body", "body": body})
