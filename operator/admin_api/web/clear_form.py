"""Clearing the dead letters from the page: a page that says what will happen, and its form."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.dependencies import AuditDep, CallerDep, ClusterDep, FormsDep, PagesDep
from admin_api.errors import RefusedError
from admin_api.services.dead_letter_clearing import clear, plan_clearing
from report_operator.domain.times import parse_time

THROUGH = "through"

router = APIRouter(include_in_schema=False)


@router.get("/dead-letters/clear")
async def confirm_clear(
    request: Request, cluster: ClusterDep, forms: FormsDep, pages: PagesDep
) -> Response:
    await cluster.leader()  # reads the Lease, and with it what was cleared a moment ago
    dead = (await cluster.snapshot()).dead_letters
    visitor = forms.visitor(request)
    page = pages.show(
        "clear.html", dead=dead, planned=plan_clearing(dead, None), token=visitor.token
    )
    return visitor.remember(page)


@router.post("/dead-letters/clear")
async def clear_all(
    request: Request, caller: CallerDep, cluster: ClusterDep, audit: AuditDep, forms: FormsDep
) -> Response:
    form = await forms.read(request)
    try:
        through = parse_time(form.get(THROUGH))
    except ValueError as error:
        raise RefusedError(422, f"{THROUGH}: {error}: go back and reload the page") from error
    if through is None:
        raise RefusedError(422, f"{THROUGH} is missing: go back and reload the page")
    done = await clear(cluster, audit, through, caller.name)
    return RedirectResponse(f"/?{urlencode({'cleared': done.count})}", HTTPStatus.SEE_OTHER)
