"""Who may call: it listens on loopback only, so whoever may port-forward has been asked already.

What is left to refuse is a web page in the same person's browser: one that another name was
pointed at loopback for (DNS rebinding, seen by its Host), or one that sends a form (its Origin).
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
BODY_LIMIT = 64 * 1024  # bytes


class Guard:
    """ASGI middleware: refuses what does not come from the person itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        problem = refusal(headers)
        if problem is not None:
            await _answer(send, scope["path"], *problem)
            return
        left = BODY_LIMIT

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise BodyTooLargeError
            return message

        try:
            await self._app(scope, bounded, send)
        except BodyTooLargeError:
            await _answer(send, scope["path"], 413, f"the body has more than {BODY_LIMIT} bytes")


class BodyTooLargeError(Exception):
    """More than any request needs."""


def refusal(headers: dict[str, str]) -> tuple[int, str] | None:
    """Status and reason, or None for a request that may pass."""
    host = headers.get("host", "")
    if _name(f"//{host}") not in LOOPBACK_NAMES:
        return 421, f"Host {host or 'is missing'}: call http://localhost (kubectl port-forward)"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return 403, f"Origin {origin}: other sites may not call this API"
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return 403, "other sites may not call this API"
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        return 413, f"the body has more than {BODY_LIMIT} bytes"
    return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def _answer(send: Send, path: str, status: int, detail: str) -> None:
    body = {
        "type": "about:blank",
        "title": "Refused",
        "status": status,
        "detail": detail,
        "instance": path,
    }
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
