"""The form for a backfill: filled in, reviewed, sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Self
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError, model_validator

from admin_api.dependencies import BackfillsDep, CallerDep, FormsDep, PagesDep, SnapshotsDep
from admin_api.schemas.backfills import BackfillRequest
from admin_api.web.form_routes import KEY, invalid, new_key
from admin_api.web.forms import Form
from report_operator.api.v1alpha1.backfill_spec import Reprocess
from report_operator.api.v1alpha1.spec import Tier

SUGGESTED = 200  # report types to tick

router = APIRouter(include_in_schema=False)


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
    request: Request, snapshots: SnapshotsDep, forms: FormsDep, pages: PagesDep
) -> Response:
    seen = await snapshots.get()
    schedules = seen.snapshot.schedules if seen.snapshot else ()
    visitor = forms.visitor(request)
    page = pages.show(
        "backfill.html",
        seen=seen,
        tiers=list(Tier),
        types=sorted({schedule.report_type for schedule in schedules})[:SUGGESTED],
        choices=list(Reprocess),
        made=request.query_params.getlist("made"),
        token=visitor.token,
    )
    return visitor.remember(page)


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
    names = [f"{backfill.namespace}/{backfill.name}" for backfill in made]
    return RedirectResponse(
        f"/backfill?{urlencode({'made': names}, doseq=True)}", HTTPStatus.SEE_OTHER
    )


def _read_form(form: Form) -> BackfillForm:
    fields = ("start_date", "end_date", "reprocess", "dry_run")
    given = {name: form[name] for name in fields if name in form}
    try:
        return BackfillForm.model_validate({**given, "report_types": form.getlist("report_types")})
    except ValidationError as error:
        raise invalid(error) from error
