"""Templates, headers of pages, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from admin_api.web import assets, template_filters
from report_runner.contract.logs import folded

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing; with no-referrer our own forms would come with Origin: null.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=PackageLoader("admin_api.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["asset"] = assets.url
_templates.filters |= {
    "duration": template_filters.duration,
    "ago": template_filters.ago,
    "clock_time": template_filters.clock_time,
    "time_tag": template_filters.time_tag,
    "slot_tag": template_filters.slot_tag,
    "markdown": template_filters.markdown,
    "folded": folded,
}


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders templates, with the values that all of them use."""

    clock: Callable[[], datetime]
    runbook_url: str  # where docs/runbook.md is published; '' where it is not

    def show(self, template: str, **values: Any) -> HTMLResponse:
        text = _templates.get_template(template).render(
            now=self.clock(),
            runbook_url=self.runbook_url,
            **values,
        )
        return HTMLResponse(text)


def wants_html(accept: str) -> bool:
    """Whether the client is a browser: curl and scrapers do not name HTML."""
    return "text/html" in accept


def error_text(status: int, detail: str) -> str:
    title = HTTPStatus(status).phrase
    return _templates.get_template("error.html").render(status=status, title=title, detail=detail)
