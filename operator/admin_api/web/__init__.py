"""The web page for on-call at `/`: rendered here, refreshed by htmx, usable without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

from admin_api.routes.files import FileServers
from admin_api.routes.queue import QueueView
from admin_api.services.attempts import AttemptService
from admin_api.services.dependencies import Dependencies
from admin_api.web import assets, backfill_form, clear_form, form_routes, reference, routes
from admin_api.web.forms import Forms
from admin_api.web.html import Pages
from admin_api.web.snapshot_cache import SnapshotCache


def add(
    app: FastAPI,
    attempts: AttemptService,
    dependencies: Dependencies,
    queue: QueueView,
    servers: FileServers,
    clock: Callable[[], datetime],
    runbook_url: str = "",
    make_backfill: backfill_form.MakeBackfill | None = None,
) -> None:
    """Attach it. `runbook_url` is where docs/runbook.md is published; '' where it is not.

    Without `make_backfill` there is no form for backfills.
    """
    pages = Pages(clock, runbook_url, backfills=make_backfill is not None)
    lookout, forms = SnapshotCache(attempts.cluster, dependencies, queue, clock), Forms()
    assets.add(app)
    reference.add(app, pages)
    routes.add(app, lookout, attempts.past, servers, pages)
    form_routes.add(app, attempts, pages, forms)
    clear_form.add(app, attempts, pages, forms)
    if make_backfill is not None:
        backfill_form.add(app, lookout, pages, forms, make_backfill)
