"""The web page for on-call at `/`: rendered here, refreshed by htmx, usable without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

from admin_api.attempting import Attempts
from admin_api.pages import assets, deeds, sights
from admin_api.pages.forms import Forms
from admin_api.pages.html import Pages
from admin_api.pages.lookout import Lookout


def add(
    app: FastAPI, attempts: Attempts, clock: Callable[[], datetime], runbook_url: str = ""
) -> None:
    """Attach it. `runbook_url` is where docs/runbook.md is published; '' where it is not."""
    pages = Pages(clock, runbook_url)
    assets.add(app)
    sights.add(app, Lookout(attempts.cluster, clock), pages)
    deeds.add(app, attempts, pages, Forms())
