"""Clearing the dead letters from the page: a page that says what will happen, and its form."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.errors import RefusedError
from admin_api.routes.actions import caller
from admin_api.services.attempts import AttemptService
from admin_api.services.dead_letter_clearing import clear, plan_clearing
from admin_api.web.forms import Forms
from admin_api.web.html import Pages
from report_operator.domain.times import parse_time

THROUGH = "through"


def add(app: FastAPI, attempts: AttemptService, pages: Pages, forms: Forms) -> None:
    """Attach them."""
    cluster = attempts.cluster

    @app.get("/dead-letters/clear", include_in_schema=False)
    async def ask_clear(request: Request) -> Response:
        await cluster.leader()  # with it, what was cleared a moment ago
        found = (await cluster.snapshot()).dead
        visitor = forms.visitor(request)
        planned = plan_clearing(found, None)
        return visitor.remember(
            pages.show("clear.html", dead=found, planned=planned, token=visitor.token)
        )

    @app.post("/dead-letters/clear", include_in_schema=False)
    async def clear_all(request: Request) -> Response:
        form = await forms.read(request)
        try:
            through = parse_time(form.get(THROUGH))
        except ValueError as error:
            raise RefusedError(422, f"{THROUGH}: {error}: go back and reload the page") from error
        if through is None:
            raise RefusedError(422, f"{THROUGH} is missing: go back and reload the page")
        done = await clear(cluster, attempts.audit, through, caller(request))
        return RedirectResponse(f"/?{urlencode({'cleared': done.count})}", HTTPStatus.SEE_OTHER)
