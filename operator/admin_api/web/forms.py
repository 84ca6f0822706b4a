"""Queries of forms, and their protection against cross-site requests.

The browser sends the cookie to this site only, and only from its own pages (SameSite=Strict). A
form's token is an HMAC of the cookie and the caller, with a key that lives as long as the process;
behind an authenticating proxy all replicas have the same key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import ImmutableMultiDict

from admin_api.auth.caller import Caller
from admin_api.errors import RefusedError

COOKIE = "report-scheduler-visitor"
TOKEN = "token"  # noqa: S105  (a field's name)


Q = TypeVar("Q", bound=BaseModel)
Form = ImmutableMultiDict[str, str]


def read_query(model: type[Q], request: Request) -> Q:
    """The query of a form, in which an empty field means that it was not given."""
    try:
        return model.model_validate({k: v for k, v in request.query_params.items() if v})
    except ValidationError as error:
        problems = [{**item, "loc": ("query", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(problems) from error


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser, and the token of its forms."""

    cookie: str
    token: str
    new: bool
    secure: bool  # the browser is to send it over HTTPS only

    def remember(self, response: Response) -> Response:
        """Set the cookie where the browser has none."""
        if self.new:
            response.set_cookie(
                COOKIE, self.cookie, httponly=True, samesite="strict", secure=self.secure
            )
        return response


@dataclass(frozen=True, slots=True)
class Forms:
    """Tokens of a visitor's forms; `key` signs them, so replicas with one key take each other's."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def visitor(self, request: Request) -> Visitor:
        known = request.cookies.get(COOKIE)
        cookie = known or secrets.token_urlsafe(24)
        caller: Caller = request.state.caller
        return Visitor(cookie, self._token(cookie, caller), known is None, caller.in_browser)

    async def read(self, request: Request) -> Form:
        """Raises RefusedError where the form has not the token of the browser's cookie."""
        form = Form(parse_qsl((await request.body()).decode(errors="replace")))
        token, cookie = form.get(TOKEN) or "", request.cookies.get(COOKIE)
        caller: Caller = request.state.caller
        if not cookie or not hmac.compare_digest(
            token.encode(), self._token(cookie, caller).encode()
        ):
            raise RefusedError(
                403,
                "this form was not filled in on a page of this process: nothing was done. "
                "Go back, reload the page, and send it again",
            )
        return form

    def _token(self, cookie: str, caller: Caller) -> str:
        who = "" if caller.user is None else caller.user.name  # over loopback a name is a claim
        return hmac.new(self.key, f"{cookie}\n{who}".encode(), hashlib.sha256).hexdigest()
