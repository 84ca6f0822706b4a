"""Giving up waiting runs from the page: a page that lists them, and the form for just these."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError

from admin_api.dependencies import AuditDep, CallerDep, ClusterDep, FormsDep, NowDep, PagesDep
from admin_api.schemas.common import Name
from admin_api.schemas.queue import CleanupRequest
from admin_api.services.cleanup import purge_queue
from admin_api.web.form_routes import first_that_fit, invalid
from admin_api.web.forms import read_query
from report_operator.api.v1alpha1.spec import Tier

DEFAULT_HOURS = 24.0

router = APIRouter(include_in_schema=False)


class PurgeQuery(BaseModel):
    """The filter of the page; its fields are those of CleanupRequest."""

    older_than_hours: float = Field(default=DEFAULT_HOURS, ge=0, le=24 * 365)
    report_type: Name | None = None
    tier: Name | None = None
    namespace: Name | None = None
    backfill: Name | None = None


@router.get("/queue/cleanup")
async def confirm_purge(
    request: Request,
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
    forms: FormsDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    """Lists what would be given up."""
    query = read_query(PurgeQuery, request)
    given = query.model_dump(exclude_none=True)
    wanted = CleanupRequest(**given, dry_run=True)
    found = (await purge_queue(cluster, audit, wanted, caller.name, now)).jobs
    snapshot = await cluster.snapshot()
    jobs = {job.id: job for job in snapshot.jobs}
    waiting = [jobs[identity] for identity in found if identity in jobs]
    visitor = forms.visitor(request)
    page = pages.show(
        "purge.html",
        query=query,
        given=given,
        waiting=waiting,
        chosen=first_that_fit(waiting),
        tiers=list(Tier),
        zones={(s.namespace, s.name): s.time_zone for s in snapshot.schedules},
        token=visitor.token,
    )
    return visitor.remember(page)


@router.post("/queue/cleanup")
async def purge(
    request: Request,
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
    forms: FormsDep,
    now: NowDep,
) -> Response:
    """Gives up the runs that the page has listed, as far as they still wait."""
    form = await forms.read(request)
    given = {name: form[name] for name in PurgeQuery.model_fields if form.get(name)}
    wanted = _read(given, form.getlist("id"))
    done = await purge_queue(cluster, audit, wanted, caller.name, now)
    counts = urlencode({"purged": done.removed, "left": len(done.not_waiting)})
    return RedirectResponse(f"/?{counts}", HTTPStatus.SEE_OTHER)


def _read(given: Mapping[str, str], ids: list[str]) -> CleanupRequest:
    """Raises RequestValidationError."""
    try:
        query = PurgeQuery.model_validate(given)
        return CleanupRequest(**query.model_dump(exclude_none=True), ids=ids)
    except ValidationError as error:
        raise invalid(error) from error
