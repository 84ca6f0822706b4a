"""The pages that act: a page that says what will happen, a form sent from it, a redirect.

Each form carries a key of its own, as `Idempotency-Key` does: sent twice, it is one attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from admin_api.errors import RefusedError
from admin_api.routes.actions import caller, generate_report, retry_job
from admin_api.routes.dead_letters import RETRY_LIMIT, RetryThese, retry_chosen
from admin_api.schemas.scheduler import GenerateRequest, Job
from admin_api.services import attempt_rules
from admin_api.services.attempts import AttemptService
from admin_api.services.jobs import ScheduleSummary, find_job, schedule_of
from admin_api.web.forms import TOKEN, Forms
from admin_api.web.html import Pages
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.cron.schedule import ScheduleError, load_zone

KEY = "key"


def add(app: FastAPI, attempts: AttemptService, pages: Pages, forms: Forms) -> None:
    """Attach them."""
    cluster = attempts.cluster

    @app.get("/runs/{identity}/retry", include_in_schema=False)
    async def ask_retry(identity: str, request: Request) -> Response:
        snapshot = await attempts.past.with_run(
            await cluster.look_at(schedule_of(identity)), identity
        )
        jobs = snapshot.jobs
        job = find_job(jobs, identity)
        decision = attempt_rules.retry(job, jobs)
        if isinstance(decision, Job):
            return _go_to(decision)
        visitor = forms.visitor(request)
        return visitor.remember(
            pages.show(
                "retry.html", job=job, number=decision.number, key=new_key(), token=visitor.token
            )
        )

    @app.post("/runs/{identity}/retry", include_in_schema=False)
    async def retry(identity: str, request: Request) -> Response:
        form = await forms.read(request)
        return _go_to(await retry_job(attempts, identity, caller(request), form.get(KEY)))

    @app.get("/dead-letters/retry", include_in_schema=False)
    async def ask_retry_all(request: Request) -> Response:
        found = (await cluster.snapshot()).dead
        visitor = forms.visitor(request)
        return visitor.remember(
            pages.show("retry_all.html", dead=found, at_once=RETRY_LIMIT, token=visitor.token)
        )

    @app.post("/dead-letters/retry", include_in_schema=False)
    async def retry_all(request: Request) -> Response:
        form = await forms.read(request)
        try:
            wanted = RetryThese.model_validate({"ids": form.getlist("id")})
        except ValidationError as error:
            raise invalid(error) from error
        found = await retry_chosen(attempts, wanted, caller(request))
        told = urlencode({"retried": len(found.jobs), "refused": len(found.refused)})
        return RedirectResponse(f"/?{told}", HTTPStatus.SEE_OTHER)

    @app.get("/generate", include_in_schema=False)
    async def ask_generate(namespace: str, schedule: str, request: Request) -> Response:
        schedules = (await cluster.snapshot()).schedules
        found = next((s for s in schedules if (s.namespace, s.name) == (namespace, schedule)), None)
        if found is None:
            raise RefusedError(404, f"there is no ReportSchedule {namespace}/{schedule}")
        visitor = forms.visitor(request)
        today = pages.clock().astimezone(_zone(found)).date()
        return visitor.remember(
            pages.show(
                "generate.html", schedule=found, today=today, priorities=list(Priority),
                key=new_key(), token=visitor.token,
            )
        )  # fmt: skip

    @app.post("/generate", include_in_schema=False)
    async def generate(request: Request) -> Response:
        form = await forms.read(request)
        wanted = _request({name: form[name] for name in form if name not in (TOKEN, KEY)})
        made = await generate_report(
            attempts, wanted, pages.clock(), caller(request), form.get(KEY)
        )
        return _go_to(made)


def invalid(error: ValidationError) -> RequestValidationError:
    """What is wrong in a form, as of a body."""
    return RequestValidationError(
        [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
    )


def new_key() -> str:
    """For one form."""
    return secrets.token_urlsafe(12)


def _go_to(job: Job) -> Response:
    return RedirectResponse(f"/runs/{quote(job.id)}", HTTPStatus.SEE_OTHER)


def _zone(schedule: ScheduleSummary) -> ZoneInfo:
    """Its own; UTC where nobody knows it, which a wrong spec says elsewhere."""
    try:
        return load_zone(schedule.time_zone)
    except ScheduleError:
        return load_zone(None)


def _request(form: Mapping[str, object]) -> GenerateRequest:
    try:
        return GenerateRequest.model_validate(form)
    except ValidationError as error:
        raise invalid(error) from error
