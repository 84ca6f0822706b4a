"""The FastAPI application: services, middleware, routers, and what an error looks like."""

from __future__ import annotations

import logging
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from admin_api.auth.access import AccessMiddleware
from admin_api.auth.answer_policy import FAILED, AnswerPolicy
from admin_api.auth.proxy import Proxy
from admin_api.auth.tokens import Tokens
from admin_api.dependencies import Exposition, Services
from admin_api.errors import PROBLEM, UNREACHABLE, RefusedError, reason_of, refused_by_cluster
from admin_api.routes import (
    actions,
    analytics,
    backfills,
    dead_letters,
    deliveries,
    deployments,
    files,
    jobs,
    next_slots,
    queue,
    schedules,
    status,
)
from admin_api.schemas.problem import ProblemDocument
from admin_api.services.analytics import Analytics
from admin_api.services.attempts import AttemptService
from admin_api.services.backends import Backends
from admin_api.services.backfills import BackfillService
from admin_api.services.files import FileServers
from admin_api.services.queue import QueueView
from admin_api.services.verifications import VerificationService
from admin_api.web import (
    assets,
    backfill_form,
    clear_form,
    form_routes,
    purge_form,
    reference,
    schedule_routes,
    verify_form,
)
from admin_api.web import routes as web_routes
from admin_api.web.forms import Forms
from admin_api.web.html import Pages, error_text, wants_html
from admin_api.web.snapshot_cache import SnapshotCache
from report_operator.domain.admission.limits import AdmissionLimits

logger = logging.getLogger(__name__)

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDocument, "content": {PROBLEM: {}}}
    for code in (400, 401, 403, 404, 408, 409, 413, 421, 422, 503)
}
ROUTERS = (
    status.router,
    jobs.router,
    queue.router,
    next_slots.router,
    schedules.router,
    analytics.router,
    deployments.router,
    actions.router,
    dead_letters.router,
    deliveries.router,
    backfills.router,
    files.router,
    assets.router,
    reference.router,
    web_routes.router,
    schedule_routes.router,
    form_routes.router,
    clear_form.router,
    purge_form.router,
    verify_form.router,
    backfill_form.router,
)


class AdminApi(FastAPI):
    """FastAPI with AnswerPolicy outside of everything, its own error handlers too."""

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI calls this once, with the first request."""
        return AnswerPolicy(super().build_middleware_stack())


def make_app(
    attempts: AttemptService,
    backends: Backends,
    file_servers: FileServers,
    exposition: Exposition,
    tokens: Tokens | None,
    *,
    limits: AdmissionLimits,
    start_grace: timedelta,
    runbook_url: str = "",
    proxy: Proxy | None = None,
) -> FastAPI:
    """`limits` and `start_grace` are the operator's; AccessMiddleware has `tokens` and `proxy`.

    Raises ProxySecretError.
    """
    app = _routes_alone()
    app.add_middleware(AccessMiddleware, tokens=tokens, proxy=proxy)
    _add_error_handlers(app)
    app.state.services = _make_services(
        attempts, backends, file_servers, exposition, limits, start_grace, runbook_url,
        Forms() if proxy is None else Forms(proxy.form_key()),
    )  # fmt: skip
    return app


def openapi_document() -> dict[str, Any]:
    """The document that a running API serves at /openapi.json."""
    return _routes_alone().openapi()


def _routes_alone() -> AdminApi:
    app = AdminApi(
        title="Report scheduler admin API",
        version="1",
        docs_url=None,  # FastAPI's page loads scripts of another site; web/reference.py has none
        redoc_url=None,
        responses=ERRORS,
    )
    for router in ROUTERS:
        app.include_router(router)
    return app


def _make_services(
    attempts: AttemptService,
    backends: Backends,
    file_servers: FileServers,
    exposition: Exposition,
    limits: AdmissionLimits,
    start_grace: timedelta,
    runbook_url: str,
    forms: Forms,
) -> Services:
    cluster, history, clock = attempts.cluster, attempts.history, attempts.clock
    queue_view = QueueView(cluster, clock, limits, start_grace)
    return Services(
        cluster=cluster,
        history=history,
        attempts=attempts,
        audit=attempts.audit,
        backfills=BackfillService(cluster, attempts.audit, clock),
        queue=queue_view,
        verifications=VerificationService(cluster, history, attempts.audit),
        analytics=Analytics(cluster, history, clock),
        backends=backends,
        files=file_servers,
        exposition=exposition,
        clock=clock,
        pages=Pages(clock, runbook_url),
        forms=forms,
        snapshots=SnapshotCache(cluster, backends, queue_view, clock),
    )


async def _refused(request: Request, error: RefusedError) -> Response:
    return _problem(request, error.status, error.message)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    problems = "; ".join(
        f"{'.'.join(str(step) for step in item['loc'][1:]) or item['loc'][0]}: {item['msg']}"
        for item in error.errors()[:10]
    )
    return _problem(request, 422, problems)


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _problem(request, error.status_code, str(error.detail))


async def _failed(request: Request, _: Exception) -> Response:
    """AnswerPolicy logs the exception."""
    return _problem(request, 500, FAILED)


async def _unreachable(request: Request, error: Exception) -> Response:
    refused = refused_by_cluster(error)
    if refused is not None:
        logger.warning("%s: %s", request.url.path, refused.message)
        return _problem(request, refused.status, refused.message)
    logger.warning("%s: %s", request.url.path, reason_of(error))
    return _problem(request, 503, f"the Kubernetes API does not serve: {reason_of(error)}")


def _problem(request: Request, status: int, detail: str) -> Response:
    sendable = detail.encode(errors="replace").decode()  # JSON may hold half characters
    if wants_html(request.headers.get("accept", "")):
        return HTMLResponse(error_text(status, sendable), status)
    title = HTTPStatus(status).phrase
    body = ProblemDocument(title=title, status=status, detail=sendable, instance=request.url.path)
    return JSONResponse(body.model_dump(), status, media_type=PROBLEM)


def _add_error_handlers(app: FastAPI) -> None:
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_failed)
    for kind in UNREACHABLE:
        app.add_exception_handler(kind, _unreachable)
