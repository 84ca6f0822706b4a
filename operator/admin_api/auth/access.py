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
import re
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from admin_api.auth.caller import Caller, claimed
from admin_api.auth.request_bounds import (
    Refusal,
    header_refusal,
    json_refusal,
    query_refusal,
    read_body,
    replay,
)
from admin_api.auth.tokens import ALL_NAMESPACES, FILES_RIGHT, Denied, Tokens
from admin_api.errors import UNREACHABLE
from admin_api.web.html import error_text, wants_html

logger = logging.getLogger(__name__)

# The whole of a Host header: a parser of URLs finds ::1 in "[::1]evil.example" as well.
LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
FORM = "application/x-www-form-urlencoded"
# What the pages show is of all teams; these paths show nothing of any team, or ask by themselves.
OF_NO_TEAM = ("/api/", "/docs", "/openapi.json", "/static/", "/favicon.ico")


class AccessMiddleware:
    """ASGI middleware: refuses what does not come from the person itself."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        """Without `tokens` nobody but loopback is let in."""
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Its body is read before all else, whatever the answer will be."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = await read_body(receive, headers)
        problem = body if isinstance(body, tuple) else await self._refusal(scope, headers, body)
        if isinstance(body, tuple) or problem is not None:
            await _answer(send, scope["path"], headers, *(problem or (400, "")))
            return
        await self._app(scope, replay(body, receive), send)

    async def _refusal(self, scope: Scope, headers: dict[str, str], body: bytes) -> Refusal | None:
        return (
            header_refusal(scope["headers"])
            or await self._caller_refusal(scope, headers)
            or (query_refusal(scope["query_string"]) if scope["path"].startswith("/api/") else None)
            or (None if headers.get("content-type", "").startswith(FORM) else json_refusal(body))
        )

    async def _caller_refusal(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        state = scope.setdefault("state", {})
        if is_loopback(scope.get("client")):
            state["caller"] = Caller(claimed(headers))
            return browser_refusal(scope["method"], headers)
        if self._tokens is None:
            return 403, "only kubectl port-forward comes in here"
        verb, path = "get" if scope["method"] in ("GET", "HEAD") else "post", scope["path"]
        try:
            user = await self._tokens.who(headers.get("authorization"), verb, path)
            if isinstance(user, Denied):
                return user.status, user.detail
            caller = Caller(user.name, user, self._tokens)
            if not path.startswith(OF_NO_TEAM) and not await caller.may_see(ALL_NAMESPACES):
                return 403, f"the pages show all teams' reports: {user.name} may not {FILES_RIGHT}"
        except UNREACHABLE as error:
            logger.warning("token review: %s", error or type(error).__name__)
            return 503, "the Kubernetes API does not say whose the token is"
        state["caller"] = caller
        return None


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
    if not LOOPBACK_HOST.fullmatch(host):
        return 421, f"Host {host or 'is missing'}: call http://localhost (kubectl port-forward)"
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host:
        return 403, f"Origin {origin}: other sites may not call this API"
    followed_link = (
        method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed_link:
        return 403, "other sites may not call this API"
    return None


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


async def _answer(send: Send, path: str, asked: dict[str, str], status: int, detail: str) -> None:
    headers: list[tuple[bytes, bytes]] = []
    if wants_html(asked.get("accept", "")):
        text, kind = error_text(status, detail), b"text/html; charset=utf-8"
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
