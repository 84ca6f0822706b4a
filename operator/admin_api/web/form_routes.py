"""Pages that act: one that says what will happen, the form sent from it, a redirect.

Each form carries a key of its own, as `Idempotency-Key` does: sent twice, it is one attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import accumulate, islice
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
from admin_api.services.attempt_rules import coming_slot
from admin_api.services.dead_letters import retry_dead_letters
from admin_api.services.jobs import ScheduleSummary
from admin_api.web.forms import TOKEN, Forms
from admin_api.web.html import Pages
from admin_api.web.problems import find_problems, group_problems
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.cron.schedule import ScheduleError, load_zone

KEY = "key"
AT_ONCE = 300  # retries of one form, made RETRY_LIMIT at a time
IDS_SIZE = 48_000  # bytes of a form's ids: a body may have 64 KiB

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
    return _confirm(request, forms, pages, dead, "")


@router.get("/problems/{identity}/retry")
async def confirm_retry_group(
    identity: str, request: Request, cluster: ClusterDep, forms: FormsDep, pages: PagesDep
) -> Response:
    """What one cause has failed, as far as it is not under way again."""
    snapshot = await cluster.snapshot()
    groups = group_problems(find_problems(snapshot.schedules, snapshot.by_name))
    group = next((group for group in groups if group.id == identity), None)
    if group is None:
        raise RefusedError(404, "no report fails for this cause any more")
    dead = {(job.namespace, job.job) for job in snapshot.dead_letters}
    failed = [job for job in group.failed_runs if (job.namespace, job.job) in dead]
    return _confirm(request, forms, pages, failed, group.first.gravest.reason)


def _confirm(
    request: Request, forms: Forms, pages: Pages, dead: Sequence[Job], reason: str
) -> Response:
    visitor = forms.visitor(request)
    chosen = first_that_fit(dead)
    page = pages.show(
        "retry_all.html", dead=dead, chosen=chosen, reason=reason, token=visitor.token
    )
    return visitor.remember(page)


def first_that_fit(jobs: Sequence[Job]) -> list[Job]:
    """As many as one form can send."""
    sizes = accumulate(len(quote(job.id)) + len("&id=") for job in jobs)
    return [job for job, size in zip(jobs, sizes, strict=True) if size <= IDS_SIZE][:AT_ONCE]


@router.post("/dead-letters/retry")
async def retry_all(
    request: Request, caller: CallerDep, attempts: AttemptsDep, forms: FormsDep
) -> Response:
    """One further attempt for each; for none that was tried again since the form was made."""
    form = await forms.read(request)
    ids = list(dict.fromkeys(form.getlist("id")))
    wanted = [_read_ids(part) for part in _batched(ids, RETRY_LIMIT)] or [_read_ids([])]
    snapshot = await attempts.cluster.snapshot()
    dead = {job.id for job in snapshot.dead_letters}
    known = {job.id for job in snapshot.jobs}
    retried = refused = before = 0
    for part in wanted:
        before += sum(identity in known and identity not in dead for identity in part.ids)
        open_ids = [identity for identity in part.ids if identity in dead or identity not in known]
        if open_ids:
            found = await retry_dead_letters(attempts, RetryThese(ids=open_ids), caller.name)
            retried += len(found.jobs)
            refused += len(found.refused)
    counts = urlencode({"retried": retried, "refused": refused, "before": before})
    return RedirectResponse(f"/?{counts}", HTTPStatus.SEE_OTHER)


def _batched(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """itertools.batched of Python 3.12."""
    remaining = iter(ids)
    while part := list(islice(remaining, size)):
        yield part


def _read_ids(ids: list[str]) -> RetryThese:
    try:
        return RetryThese.model_validate({"ids": ids})
    except ValidationError as error:
        raise invalid(error) from error


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
        coming=coming_slot(found, now),
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
