"""Access control.

`kubectl port-forward` ends on loopback, and Kubernetes has checked its user. What remains to refuse
there are requests of other sites' pages in the user's browser: DNS rebinding shows in the Host
header, a form of another site in Origin. From the network a bearer token is needed, which a page of
another site cannot have. An authenticating proxy (auth/proxy.py) names the user instead; what comes
from it is judged as that wherever it comes from, loopback too.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from admin_api.auth.caller import Caller, claimed_name
from admin_api.auth.proxy import Proxied, Proxy, proxied_refusal
from admin_api.auth.request_bounds import (
    Refusal,
    header_refusal,
    json_refusal,
    query_refusal,
    read_body,
    replay,
)
from admin_api.auth.tokens import ALL_NAMESPACES, FILES_RIGHT, Denied, Tokens, User
from admin_api.errors import UNREACHABLE
from admin_api.web.html import error_text, wants_html

logger = logging.getLogger(__name__)

# The whole of a Host header: a parser of URLs finds ::1 in "[::1]evil.example" as well.
LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
FORM = "application/x-www-form-urlencoded"
# The pages show reports of all teams; these paths show none, or check namespaces themselves.
CHECKED_ELSEWHERE = ("/api/", "/docs", "/openapi.json", "/static/", "/favicon.ico")


class AccessMiddleware:
    """ASGI middleware: bounds and authenticates a request before the application sees it."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None, proxy: Proxy | None = None) -> None:
        """Without `tokens` every request from the network is refused.

        Without `proxy` headers of one mean nothing.
        """
        self._app = app
        self._tokens = tokens
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body is read first, whatever the answer will be (see read_body)."""
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
        proxied = None if self._proxy is None else self._proxy.judge(scope["headers"])
        if isinstance(proxied, tuple):
            return proxied
        if proxied is None and is_loopback(scope.get("client")):
            state["caller"] = Caller(claimed_name(headers))
            return browser_refusal(scope["method"], headers)
        if self._proxy is not None and proxied is not None:
            method, is_user = scope["method"], proxied.user is not None
            refusal = proxied_refusal(method, headers, self._proxy.hosts, is_user=is_user)
            if refusal := refusal or cross_site_refusal(method, headers):
                return refusal
        if self._tokens is None:
            return 403, "only kubectl port-forward comes in here"
        verb, path = "get" if scope["method"] in ("GET", "HEAD") else "post", scope["path"]
        try:
            user = await self._user(self._tokens, proxied, headers, verb, path)
            if isinstance(user, Denied):
                return user.status, user.detail
            caller = Caller(user.name, user, self._tokens, in_browser=proxied is not None)
            if not path.startswith(CHECKED_ELSEWHERE) and not await caller.may_see(ALL_NAMESPACES):
                return 403, f"the pages show all teams' reports: {user.name} may not {FILES_RIGHT}"
        except UNREACHABLE as error:
            logger.warning("token review: %s", str(error) or type(error).__name__)
            return 503, "the Kubernetes API does not review the token"
        state["caller"] = caller
        return None

    @staticmethod
    async def _user(
        tokens: Tokens, proxied: Proxied | None, headers: dict[str, str], verb: str, path: str
    ) -> User | Denied:
        if proxied is not None and proxied.user is not None:
            return await tokens.authorize(proxied.user, verb, path)
        return await tokens.authenticate(headers.get("authorization"), verb, path)


def is_loopback(client: tuple[str, int] | None) -> bool:
    """Whether the peer is in this pod."""
    if client is None:
        return False
    address = ipaddress.ip_address(client[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def browser_refusal(method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Refuses requests of other sites' pages, by Host, Origin and Sec-Fetch headers."""
    host = headers.get("host", "")
    if not LOOPBACK_HOST.fullmatch(host):
        return 421, f"Host {host or 'is missing'}: call http://localhost (kubectl port-forward)"
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host:
        return 403, f"Origin {origin}: other sites may not call this API"
    return cross_site_refusal(method, headers)


def cross_site_refusal(method: str, headers: dict[str, str]) -> Refusal | None:
    """Refuses by Sec-Fetch headers.

    Links from other sites are allowed: the answer is shown to the user, not to the site.
    """
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


async def _answer(
    send: Send, path: str, request_headers: dict[str, str], status: int, detail: str
) -> None:
    headers: list[tuple[bytes, bytes]] = []
    if wants_html(request_headers.get("accept", "")):
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
