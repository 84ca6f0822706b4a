"""Pages that act: one that says what will happen, the form sent from it, a redirect.

Each form carries a key of its own, as `Idempotency-Key` does: sent twice, it is one attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from admin_api.dependencies import AttemptsDep, CallerDep, ClusterDep, FormsDep, NowDep, PagesDep
from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.dead_letters import RETRY_LIMIT, RetryThese
from admin_api.schemas.jobs import Job
from admin_api.services.dead_letters import retry_dead_letters
from admin_api.services.jobs import ScheduleSummary
from admin_api.web.forms import TOKEN
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.cron.schedule import ScheduleError, load_zone

KEY = "key"

router = APIRouter(include_in_schema=False)


@router.get("/runs/{identity}/retry")
async def confirm_retry(
    identity: str, request: Request, attempts: AttemptsDep, forms: FormsDep, pages: PagesDep
) -> Response:
    job, decision = await attempts.preview_retry(identity)
    if isinstance(decision, Job):
        return _go_to(decision)
    visitor = forms.visitor(request)
    page = pages.show(
        "retry.html", job=job, number=decision.number, key=new_key(), token=visitor.token
    )
    return visitor.remember(page)


@router.post("/runs/{identity}/retry")
async def retry(
    identity: str, request: Request, caller: CallerDep, attempts: AttemptsDep, forms: FormsDep
) -> Response:
    form = await forms.read(request)
    return _go_to(await attempts.retry(identity, caller.name, form.get(KEY)))


@router.get("/dead-letters/retry")
async def confirm_retry_all(
    request: Request, cluster: ClusterDep, forms: FormsDep, pages: PagesDep
) -> Response:
    dead = (await cluster.snapshot()).dead_letters
    visitor = forms.visitor(request)
    page = pages.show("retry_all.html", dead=dead, at_once=RETRY_LIMIT, token=visitor.token)
    return visitor.remember(page)


@router.post("/dead-letters/retry")
async def retry_all(
    request: Request, caller: CallerDep, attempts: AttemptsDep, forms: FormsDep
) -> Response:
    form = await forms.read(request)
    try:
        wanted = RetryThese.model_validate({"ids": form.getlist("id")})
    except ValidationError as error:
        raise invalid(error) from error
    found = await retry_dead_letters(attempts, wanted, caller.name)
    counts = urlencode({"retried": len(found.jobs), "refused": len(found.refused)})
    return RedirectResponse(f"/?{counts}", HTTPStatus.SEE_OTHER)


@router.get("/generate")
async def confirm_generate(
    namespace: str,
    schedule: str,
    request: Request,
    cluster: ClusterDep,
    forms: FormsDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    schedules = (await cluster.snapshot()).schedules
    found = next((s for s in schedules if (s.namespace, s.name) == (namespace, schedule)), None)
    if found is None:
        raise RefusedError(404, f"there is no ReportSchedule {namespace}/{schedule}")
    visitor = forms.visitor(request)
    page = pages.show(
        "generate.html",
        schedule=found,
        today=now.astimezone(_zone(found)).date(),
        priorities=list(Priority),
        key=new_key(),
        token=visitor.token,
    )
    return visitor.remember(page)


@router.post("/generate")
async def generate(
    request: Request, caller: CallerDep, attempts: AttemptsDep, forms: FormsDep
) -> Response:
    form = await forms.read(request)
    wanted = _read_generate({name: form[name] for name in form if name not in (TOKEN, KEY)})
    return _go_to(await attempts.generate(wanted, caller.name, form.get(KEY)))


def invalid(error: ValidationError) -> RequestValidationError:
    """The problems of a form, reported like those of a JSON body."""
    return RequestValidationError(
        [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
    )


def new_key() -> str:
    """An idempotency key for one form."""
    return secrets.token_urlsafe(12)


def _go_to(job: Job) -> Response:
    return RedirectResponse(f"/runs/{quote(job.id)}", HTTPStatus.SEE_OTHER)


def _zone(schedule: ScheduleSummary) -> ZoneInfo:
    """UTC where the zone is unknown, which the schedule's own status reports."""
    try:
        return load_zone(schedule.time_zone)
    except ScheduleError:
        return load_zone(None)


def _read_generate(form: Mapping[str, object]) -> GenerateRequest:
    try:
        return GenerateRequest.model_validate(form)
    except ValidationError as error:
        raise invalid(error) from error
