"""The application: its parts, and what an error looks like."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from admin_api import web
from admin_api.auth.access import AccessMiddleware
from admin_api.auth.answer_policy import FAILED, AnswerPolicy
from admin_api.auth.tokens import Tokens
from admin_api.errors import PROBLEM, UNREACHABLE, RefusedError, reason_of
from admin_api.routes import (
    actions,
    analytics,
    backfills,
    dead_letters,
    deployments,
    files,
    next_slots,
    queue,
    scheduler,
)
from admin_api.schemas.scheduler import ProblemDocument
from admin_api.services.attempts import AttemptService
from admin_api.services.dependencies import Dependencies
from admin_api.web.html import error_text, wants_html
from report_operator.domain.admission.queue import AdmissionLimits

logger = logging.getLogger(__name__)

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDocument, "content": {PROBLEM: {}}}
    for code in (400, 401, 403, 404, 408, 409, 413, 421, 422, 503)
}


class AdminApi(FastAPI):
    """FastAPI, with the policy around all of it, its own errors too."""

    def build_middleware_stack(self) -> ASGIApp:
        """Called once, with the first request."""
        return AnswerPolicy(super().build_middleware_stack())


def make_app(
    attempts: AttemptService,
    servers: files.FileServers,
    dependencies: Dependencies,
    clock: Callable[[], datetime],
    exposition: Callable[[], Awaitable[str]],
    tokens: Tokens | None,
    runbook_url: str = "",
    *,
    limits: AdmissionLimits,
    start_grace: timedelta,
) -> FastAPI:
    """`exposition` gives the operator's metrics as Prometheus text; see Guard for `tokens`.

    `runbook_url` is where docs/runbook.md is published; `limits` and `start_grace` are the
    operator's.
    """
    app = AdminApi(
        title="Report scheduler admin API",
        version="1",
        docs_url=None,  # FastAPI's loads scripts of another site; pages/reference.py has none
        redoc_url=None,
        responses=ERRORS,
    )
    app.add_middleware(AccessMiddleware, tokens=tokens)
    _add_errors(app)
    cluster, past = attempts.cluster, attempts.past
    queue_view = queue.QueueView(cluster, clock, limits, start_grace)
    scheduler.add(app, cluster, past, clock, exposition, dependencies, queue_view, servers)
    queue.add(app, queue_view)
    next_slots.add(app, cluster, clock)
    analytics.add(app, cluster, past, clock)
    deployments.add(app, cluster, past)
    actions.add(app, attempts, clock)
    dead_letters.add(app, attempts)
    make_backfill = backfills.add(app, cluster, attempts.audit, clock)
    files.add(app, servers, cluster, past)
    web.add(app, attempts, dependencies, queue_view, servers, clock, runbook_url, make_backfill)
    return app


def _add_errors(app: FastAPI) -> None:
    def problem(request: Request, status: int, detail: str) -> Response:
        sendable = detail.encode(errors="replace").decode()  # JSON may hold half characters
        if wants_html(request.headers.get("accept", "")):
            return HTMLResponse(error_text(status, sendable), status)
        title = HTTPStatus(status).phrase
        body = ProblemDocument(
            title=title, status=status, detail=sendable, instance=request.url.path
        )
        return JSONResponse(body.model_dump(), status, media_type=PROBLEM)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return problem(request, error.status, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        told = "; ".join(
            f"{'.'.join(str(step) for step in item['loc'][1:]) or item['loc'][0]}: {item['msg']}"
            for item in error.errors()[:10]
        )
        return problem(request, 422, told)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem(request, error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> Response:  # AnswerPolicy logs it
        return problem(request, 500, FAILED)

    async def unreachable(request: Request, error: Exception) -> Response:
        logger.warning("%s: %s", request.url.path, reason_of(error))
        return problem(request, 503, f"the Kubernetes API does not serve: {reason_of(error)}")

    for kind in UNREACHABLE:
        app.add_exception_handler(kind, unreachable)
