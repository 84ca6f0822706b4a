"""The web page for on-call at `/`: rendered here, refreshed by htmx, usable without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

from admin_api.attempting import Attempts
from admin_api.dependencies import Dependencies
from admin_api.pages import assets, backfill, deeds, reference, sights
from admin_api.pages.forms import Forms
from admin_api.pages.html import Pages
from admin_api.pages.lookout import Lookout
from admin_api.queue import QueueView


def add(
    app: FastAPI,
    attempts: Attempts,
    dependencies: Dependencies,
    queue: QueueView,
    clock: Callable[[], datetime],
    runbook_url: str = "",
    make_backfill: backfill.MakeBackfill | None = None,
) -> None:
    """Attach it. `runbook_url` is where docs/runbook.md is published; '' where it is not.

    Without `make_backfill` there is no form for backfills.
    """
    pages = Pages(clock, runbook_url, backfills=make_backfill is not None)
    lookout, forms = Lookout(attempts.cluster, dependencies, queue, clock), Forms()
    assets.add(app)
    reference.add(app, pages)
    sights.add(app, lookout, attempts.past, pages)
    deeds.add(app, attempts, pages, forms)
    if make_backfill is not None:
        backfill.add(app, lookout, pages, forms, make_backfill)
