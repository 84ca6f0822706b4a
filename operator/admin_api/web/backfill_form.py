"""The form for a backfill: filled in, reviewed, sent."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError, model_validator

from admin_api.dependencies import BackfillsDep, CallerDep, FormsDep, PagesDep, SnapshotsDep
from admin_api.errors import UNREACHABLE, reason_of
from admin_api.schemas.backfills import BackfillRequest, BackfillsQuery
from admin_api.services.backfills import BackfillService
from admin_api.web.form_routes import KEY, invalid, new_key
from admin_api.web.forms import Form, read_query
from admin_api.web.snapshot_cache import PAGE_TIMEOUT
from report_operator.api.v1alpha1.backfill_spec import Reprocess
from report_operator.api.v1alpha1.spec import Tier

LISTED = 30  # backfills, the newest
SUGGESTED = 200  # report types to tick

router = APIRouter(include_in_schema=False)


class CancelledQuery(BaseModel):
    """What the form to cancel has done."""

    cancelled: str | None = Field(default=None, max_length=600)
    removed: int = Field(default=0, ge=0)
    going_on: int = Field(default=0, ge=0)


class BackfillForm(BackfillRequest):
    """A request that names at least one tier or type: the form cannot name a schedule."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.report_types:
            raise ValueError("report_types: choose a tier or a type")
        if self.end_date < self.start_date:
            raise ValueError(f"end_date: {self.end_date} is before start_date, {self.start_date}")
        return self


@router.get("/backfill")
async def fill_in(
    request: Request,
    snapshots: SnapshotsDep,
    backfills: BackfillsDep,
    forms: FormsDep,
    pages: PagesDep,
) -> Response:
    seen, listed = await asyncio.gather(snapshots.get(), _list(backfills))
    schedules = seen.snapshot.schedules if seen.snapshot else ()
    visitor = forms.visitor(request)
    page = pages.show(
        "backfill.html",
        seen=seen,
        tiers=list(Tier),
        types=sorted({schedule.report_type for schedule in schedules})[:SUGGESTED],
        choices=list(Reprocess),
        made=request.query_params.getlist("made"),
        refused=request.query_params.getlist("refused"),
        done=read_query(CancelledQuery, request),
        token=visitor.token,
        listed=LISTED,
        **listed,
    )
    return visitor.remember(page)


@router.get("/fragments/backfills")
async def list_fragment(backfills: BackfillsDep, pages: PagesDep) -> Response:
    return pages.show("_backfills.html", **await _list(backfills))


async def _list(backfills: BackfillService) -> dict[str, Any]:
    """The newest backfills, or the reason why they cannot be read."""
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            found = (await backfills.list_newest(BackfillsQuery(limit=LISTED))).backfills
    except UNREACHABLE as error:
        return {"backfills": [], "backfills_problem": reason_of(error)}
    return {"backfills": found, "backfills_problem": ""}


@router.post("/backfill")
async def review_or_send(
    request: Request, caller: CallerDep, backfills: BackfillsDep, forms: FormsDep, pages: PagesDep
) -> Response:
    form = await forms.read(request)
    wanted = _read_form(form)
    if form.get("confirmed") != "yes":
        token = forms.visitor(request).token
        return pages.show("backfill_confirm.html", wanted=wanted, key=new_key(), token=token)
    made = await backfills.make(wanted, caller.name, form.get(KEY) or new_key())
    told = {
        "made": [f"{backfill.namespace}/{backfill.name}" for backfill in made.backfills],
        "refused": [refused.namespace for refused in made.refused],
    }
    return RedirectResponse(f"/backfill?{urlencode(told, doseq=True)}", HTTPStatus.SEE_OTHER)


@router.get("/backfills/{namespace}/{name}/cancel")
async def confirm_cancel(
    namespace: str,
    name: str,
    request: Request,
    backfills: BackfillsDep,
    forms: FormsDep,
    pages: PagesDep,
) -> Response:
    backfill, planned = await backfills.plan_cancelling(namespace, name)
    visitor = forms.visitor(request)
    page = pages.show(
        "backfill_cancel.html", backfill=backfill, planned=planned, token=visitor.token
    )
    return visitor.remember(page)


@router.post("/backfills/{namespace}/{name}/cancel")
async def cancel(
    namespace: str,
    name: str,
    request: Request,
    caller: CallerDep,
    backfills: BackfillsDep,
    forms: FormsDep,
) -> Response:
    await forms.read(request)
    done = await backfills.cancel(namespace, name, caller.name)
    told = {"cancelled": f"{namespace}/{name}", "removed": len(done.removed),
            "going_on": len(done.going_on)}  # fmt: skip
    return RedirectResponse(f"/backfill?{urlencode(told)}", HTTPStatus.SEE_OTHER)


def _read_form(form: Form) -> BackfillForm:
    fields = ("start_date", "end_date", "reprocess", "dry_run")
    given = {name: form[name] for name in fields if name in form}
    try:
        return BackfillForm.model_validate({**given, "report_types": form.getlist("report_types")})
    except ValidationError as error:
        raise invalid(error) from error
