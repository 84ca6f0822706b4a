"""The form for a backfill: filled in, looked over, sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from admin_api.routes.actions import caller
from admin_api.web.form_routes import KEY, invalid, new_key
from admin_api.web.forms import Form, Forms
from admin_api.web.html import Pages
from admin_api.web.snapshot_cache import SnapshotCache
from report_operator.api.v1alpha1.spec import Tier

SUGGESTED = 200  # report types to tick

# Takes the JSON of POST /api/admin/reports/backfill, who asks and an Idempotency-Key; gives
# `namespace/name` of each ReportBackfill. Raises RefusedError, and what Cluster raises.
MakeBackfill = Callable[[dict[str, Any], str, str], Awaitable[list[str]]]


class Reprocess(StrEnum):
    """Which slots of the dates get a run."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class BackfillForm(BaseModel):
    """What the form says, in the endpoint's words."""

    model_config = ConfigDict(extra="ignore")

    start_date: date
    end_date: date
    report_types: list[str]
    reprocess: Reprocess = Reprocess.MISSING
    dry_run: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.report_types:
            raise ValueError("report_types: choose a tier or a type")
        if self.end_date < self.start_date:
            raise ValueError(f"end_date: {self.end_date} is before start_date, {self.start_date}")
        return self


def add(
    app: FastAPI, lookout: SnapshotCache, pages: Pages, forms: Forms, make: MakeBackfill
) -> None:
    """Attach it."""

    @app.get("/backfill", include_in_schema=False)
    async def ask_backfill(request: Request) -> Response:
        sight = await lookout.look()
        schedules = sight.snapshot.schedules if sight.snapshot else ()
        visitor = forms.visitor(request)
        return visitor.remember(
            pages.show(
                "backfill.html",
                sight=sight,
                tiers=list(Tier),
                types=sorted({schedule.report_type for schedule in schedules})[:SUGGESTED],
                choices=list(Reprocess),
                made=request.query_params.getlist("made"),
                token=visitor.token,
            )
        )

    @app.post("/backfill", include_in_schema=False)
    async def backfill(request: Request) -> Response:
        form = await forms.read(request)
        wish = _read(form)
        if form.get("sure") != "yes":
            token = forms.visitor(request).token
            return pages.show("backfill_sure.html", wish=wish, key=new_key(), token=token)
        key = form.get(KEY) or new_key()
        made = await make(wish.model_dump(mode="json"), caller(request), key)
        told = urlencode({"made": made}, doseq=True)
        return RedirectResponse(f"/backfill?{told}", HTTPStatus.SEE_OTHER)


def _read(form: Form) -> BackfillForm:
    try:
        return BackfillForm.model_validate({**form, "report_types": form.getlist("report_types")})
    except ValidationError as error:
        raise invalid(error) from error
