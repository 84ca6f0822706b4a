"""Drivers that run in a batch: a template, a chart, as the runner works on them."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from report_runner.contract.report import Chart, Format
from report_runner.models import RenderInput, RunError, Table
from report_runner.render import chart_worker, charts, template
from report_runner.render.documents import render

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Madrid")
SECONDS = 2.0  # instead of the minute that a template may take
CHART_SECONDS = 5.0  # likewise
ROWS = Table(("x", "y"), [(1, 2.5), (2, 3.5), (3, None)])


def given(text: str, table: Table = ROWS, **changes: Any) -> RenderInput:
    """What a document is made of."""
    values: dict[str, Any] = {
        "title": "A title",
        "report_type": "attack",
        "namespace": "team-a",
        "name": "attack",
        "slot": NOW,
        "report_date": date(2026, 1, 5),
        "time_zone": "Europe/Madrid",
        "generated_at": NOW,
        "run_id": "run.1",
        "parameters": {"dunder": "__class__"},
        "tables": {"a": table},
        "template": text,
        **changes,
    }
    return RenderInput(**values)


def render_template(text: str) -> dict[str, Any]:
    """`text` is what came out, `reason` and `message` are why nothing did."""
    template.SECONDS = SECONDS
    try:
        page = template.render_page(given(text), {})
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}
    rows = sum(len(table.rows) for table in page.tables)
    return {"text": page.markup[:20_000], "size": len(page.markup), "rows": rows}


def render_subject(text: str) -> dict[str, Any]:
    template.SECONDS = SECONDS
    try:
        return {"text": template.render_line(text, given(""))}
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}


def draw_chart(spec: dict[str, Any]) -> dict[str, Any]:
    """`svg` is what came out."""
    job = None
    charts._SECONDS = CHART_SECONDS
    try:
        job = charts.ChartJob(
            [Chart(name="c", source="a", spec=spec)], {"a": ROWS}, "Europe/Madrid"
        )
        return {"svg": job.result()["c"].svg}
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}
    except ValidationError as error:  # the operator refuses the schedule
        return {"reason": "Refused", "message": str(error)}
    finally:
        if job is not None:
            job.cancel()


def draw_chart_here(spec: dict[str, Any]) -> dict[str, Any]:
    """As `draw_chart` and its process do it, without a process for each: starting one is slow."""
    try:
        chart = Chart(name="c", source="a", spec=spec)
        spec = charts._specification(chart, charts._checked(chart, ROWS), ROWS, ZONE, False)
        return chart_worker.draw(spec, charts.THEME)
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}
    except ValidationError as error:
        return {"reason": "Refused", "message": str(error)}


def make_document(case: dict[str, Any]) -> dict[str, Any]:
    """A file of one format; its path."""
    directory = Path(tempfile.mkdtemp(dir=case["directory"]))
    columns = tuple(case.get("columns") or ROWS.columns)
    rows = [tuple(row) for row in case.get("rows") or ROWS.rows]
    data = given(case["template"], Table(columns, rows), title=case.get("title", "A title"))
    try:
        (made,) = render(data, [Format(case["format"])], directory)  # type: ignore[call-arg]  # a look-up
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}
    if not made.path.exists():
        return {"reason": "InternalError", "message": f"no file, and {made.pages} pages"}
    # A browser goes by the name.
    return {"path": str(made.path.rename(directory / f"report.{made.format.value}"))}
