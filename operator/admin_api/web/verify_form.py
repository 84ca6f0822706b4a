"""Looking at what a run has sent, from the page: the newest look, and the form for another."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from admin_api.dependencies import CallerDep, FormsDep, PagesDep, VerificationsDep

router = APIRouter(include_in_schema=False)


@router.get("/runs/{identity}/verify")
async def show_look(
    identity: str,
    request: Request,
    verifications: VerificationsDep,
    forms: FormsDep,
    pages: PagesDep,
) -> Response:
    job = await verifications.run(identity)
    visitor = forms.visitor(request)
    look = await verifications.find(identity)
    return visitor.remember(pages.show("verify.html", job=job, look=look, token=visitor.token))


@router.post("/runs/{identity}/verify")
async def look(
    identity: str,
    request: Request,
    caller: CallerDep,
    verifications: VerificationsDep,
    forms: FormsDep,
) -> Response:
    """Sent twice, it is one look while that is under way."""
    await forms.read(request)
    made = await verifications.request(identity, caller.name)
    return RedirectResponse(f"/runs/{quote(made.job_id)}/verify", HTTPStatus.SEE_OTHER)
