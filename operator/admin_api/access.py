"""Who may call.

Over loopback, where `kubectl port-forward` ends, whoever may port-forward has been asked already.
What is left to refuse there is a web page in the same person's browser: one that another name was
pointed at loopback for (DNS rebinding, seen by its Host), or one that sends a form (its Origin).
From the network a bearer token is needed, which no other site's page can have.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.errors import UNREACHABLE
from admin_api.pages.html import HEADERS, error_text, wants_html
from admin_api.tokens import Denied, Tokens

logger = logging.getLogger(__name__)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
BODY_LIMIT = 64 * 1024  # bytes


class Guard:
    """ASGI middleware: refuses what does not come from the person itself."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        """Without `tokens` nobody but loopback is let in."""
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        problem = await self._refusal(scope, headers)
        if problem is not None:
            await _answer(send, scope["path"], headers, *problem)
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
            await _answer(
                send, scope["path"], headers, 413, f"the body has more than {BODY_LIMIT} bytes"
            )

    async def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        problem = body_refusal(headers)
        if problem is not None:
            return problem
        if is_loopback(scope.get("client")):
            scope.setdefault("state", {})["caller"] = headers.get("x-on-call", "port-forward")[:100]
            return browser_refusal(scope["method"], headers)
        if self._tokens is None:
            return 403, "only kubectl port-forward comes in here"
        verb = "get" if scope["method"] in ("GET", "HEAD") else "post"
        try:
            who = await self._tokens.who(headers.get("authorization"), verb, scope["path"])
        except UNREACHABLE as error:
            logger.warning("token review: %s", error or type(error).__name__)
            return 503, "the Kubernetes API does not say whose the token is"
        if isinstance(who, Denied):
            return who.status, who.detail
        scope.setdefault("state", {})["caller"] = who
        return None


class BodyTooLargeError(Exception):
    """More than any request needs."""


def is_loopback(client: tuple[str, int] | None) -> bool:
    """Whether the other end of the connection is in this pod."""
    if client is None:
        return False
    address = ipaddress.ip_address(client[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def browser_refusal(method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Status and reason where a page of another site asks, by name or by its browser's word.

    A link there may lead here: the person sees where it went, and the other site nothing.
    """
    host = headers.get("host", "")
    if _name(f"//{host}") not in LOOPBACK_NAMES:
        return 421, f"Host {host or 'is missing'}: call http://localhost (kubectl port-forward)"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return 403, f"Origin {origin}: other sites may not call this API"
    followed_link = (
        method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed_link:
        return 403, "other sites may not call this API"
    return None


def body_refusal(headers: dict[str, str]) -> tuple[int, str] | None:
    """Status and reason of a body that no request needs."""
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > BODY_LIMIT:
        return 413, f"the body has more than {BODY_LIMIT} bytes"
    return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def _answer(send: Send, path: str, asked: dict[str, str], status: int, detail: str) -> None:
    headers = [(b"connection", b"close")]
    if wants_html(asked.get("accept", "")):
        text, kind = error_text(status, detail), b"text/html; charset=utf-8"
        headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    else:
        text, kind = json.dumps(_problem(path, status, detail)), b"application/problem+json"
    headers.append((b"content-type", kind))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _problem(path: str, status: int, detail: str) -> dict[str, str | int]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
    }
