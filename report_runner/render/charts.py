"""Vega-Lite charts become SVG, in a process of its own: its JavaScript engine can crash.

A chart's data are the rows of its source; nothing is ever fetched.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Chart
from report_runner.models import RunError, Table
from report_runner.render import workers
from report_runner.render.chart_data import chart_values
from report_runner.render.chart_numbers import exact_numbers
from report_runner.render.sandbox import MIB, SandboxLimits, read_bounded, share_of_memory
from report_runner.render.svg import right_to_left, without_gradients
from report_runner.render.tables import printable_text
from report_runner.render.vegalite import SpecProblem
from report_runner.render.vegalite.columns import resolve_columns
from report_runner.render.vegalite.room import Room, make_room, needs_width
from report_runner.render.vegalite.schema import schema_problem

logger = logging.getLogger(__name__)

FONT = "Inter, DejaVu Sans, sans-serif"
INK, MUTED, LINE = "#1b2a3d", "#5c6b7e", "#dfe5ec"
PALETTE = [
    "#1f4e8c", "#e08a2b", "#2a9d8f", "#b5475b", "#7b6cb0", "#8aa34a", "#4f9bd6", "#9c7a57",
]  # fmt: skip
WIDE, HALF = (760, 230), (360, 215)

# The house style; a chart's own `config` goes before it.
THEME: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "labelFont": FONT,
        "titleFont": FONT,
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 10,
        "titleFontSize": 10,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": "#b6c1cd",
        "tickColor": "#b6c1cd",
        "tickSize": 4,
        "labelPadding": 4,
        "labelLimit": 0,
        "titlePadding": 8,
    },
    "axisX": {"grid": False, "labelFlush": True},
    "axisXQuantitative": {"labelOverlap": "greedy"},
    "axisXTemporal": {"labelOverlap": "greedy"},
    # A category without its name is one that nobody misses.
    "axisDiscrete": {"labelOverlap": False},
    "axisY": {"domain": False, "ticks": False, "tickCount": 5},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFont": FONT,
        "titleFont": FONT,
        "labelColor": INK,
        "titleColor": MUTED,
        "labelFontSize": 10,
        "symbolSize": 70,
        "offset": 6,
        "columnPadding": 14,
        "labelLimit": 0,
        "symbolLimit": 10_000,  # 0 would be none, and the engine's own is 30
    },
    "title": {"font": FONT, "color": INK, "fontSize": 12, "anchor": "start"},
    "header": {"labelFont": FONT, "titleFont": FONT, "labelColor": INK, "labelLimit": 0},
    "range": {
        "category": PALETTE,
        "diverging": ["#b5475b", "#eef1f5", "#2a9d8f"],
        "heatmap": ["#eaf1f9", "#1f4e8c"],
        "ramp": ["#eaf1f9", "#1f4e8c"],
    },
    "bar": {"color": PALETTE[0], "cornerRadiusEnd": 1.5},
    "line": {"color": PALETTE[0], "strokeWidth": 1.8, "strokeCap": "round"},
    "area": {"color": PALETTE[0], "fillOpacity": 0.75},
    "point": {"color": PALETTE[0], "filled": True, "size": 36},
    "rule": {"color": MUTED},
    "text": {"font": FONT, "color": INK, "fontSize": 10},
    "arc": {"stroke": "#ffffff", "strokeWidth": 1},
}

_SIZE = re.compile(r' (?:width|height)="([\d.]+)"')  # the drawing's own come first, in this order
_SECONDS = 60.0
_MEMORY = 1024 * MIB
_OUTPUT = 64 * MIB


@dataclass(frozen=True, slots=True)
class ChartImage:
    """A drawn chart; printing it in a template gives an `<img>` with the SVG inside."""

    name: str
    title: str
    svg: str
    wide: bool  # made for the full width of the page

    @property
    def ratio(self) -> float:
        """Height by width."""
        width, height = (float(size) for size in _SIZE.findall(self.svg)[:2])
        return height / width

    def __html__(self) -> str:
        # As an image the SVG can neither run a script nor clash with the ids of another one.
        encoded = base64.b64encode(self.svg.encode()).decode()
        # Never wider than what it stands in; a style sheet may make it narrower.
        return Markup(
            '<img class="chart" style="max-width:100%" alt="{}" src="data:image/svg+xml;base64,{}">'
        ).format(self.title or self.name, encoded)

    def __str__(self) -> str:
        return self.__html__()


def _field(chart: Chart) -> str:
    return f"spec.report.charts[{chart.name}].spec"


def _wrong(chart: Chart, problem: str | SpecProblem) -> RunError:
    if isinstance(problem, SpecProblem):
        told = f"{_field(chart)}{problem.where()}: {problem.message}"
    else:
        told = f"{_field(chart)}: {problem}"
    return RunError(Reason.CONFIGURATION_ERROR, told)


def _walk(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every object inside a specification."""
    if depth > 60:
        raise ValueError("is nested too deeply")
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _walk(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, depth + 1)


def check_spec(chart: Chart) -> None:
    """Raises RunError where the specification would read anything but its source's rows."""
    try:
        for part in _walk(chart.spec):
            if "url" in part:
                raise _wrong(
                    chart, "url is not allowed; the rows of the chart's source are its data"
                )
            mark = part.get("mark")
            if mark == "image" or (isinstance(mark, Mapping) and mark.get("type") == "image"):
                raise _wrong(chart, "image marks are not allowed")
    except ValueError as error:
        raise _wrong(chart, str(error)) from None


def _clean(value: Any) -> Any:
    """Texts at any depth as a table shows them: a control character ends the engine."""
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


def _checked(chart: Chart, table: Table) -> dict[str, Any]:
    """The specification with its columns resolved. Raises RunError for what is wrong with it."""
    check_spec(chart)
    if "data" in chart.spec:
        raise _wrong(chart, "remove data; the rows of the chart's source are its data")
    spec: dict[str, Any] = _clean(chart.spec)
    problem = schema_problem({**spec, "data": {"values": []}})
    # A source without a row may not know its columns either.
    if problem is None and table.columns:
        spec, problem = resolve_columns(spec, [_clean(n) for n in table.columns], chart.source)
    if problem is not None:
        raise _wrong(chart, problem)
    return spec


def _specification(
    chart: Chart, spec: dict[str, Any], table: Table, zone: ZoneInfo, wide: bool
) -> dict[str, Any]:
    named = Table(tuple(_clean(name) for name in table.columns), table.rows)
    try:
        spec, exact = exact_numbers(spec, named)
        values = _clean(chart_values(named, chart.spec, zone, exact))
    except ValueError as error:
        raise _wrong(chart, str(error)) from None
    width, height = WIDE if wide else HALF
    spec, problem = make_room(spec, values, Room(width, height))
    if problem is not None:
        raise _wrong(chart, problem)
    spec.setdefault("$schema", "https://vega.github.io/schema/vega-lite/v6.json")
    return {**spec, "data": {"values": values}}


def _no_data(wide: bool) -> str:
    width, height = WIDE if wide else HALF
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><rect x="0.5" y="0.5" width="{width - 1}" '
        f'height="{height - 1}" fill="none" stroke="{LINE}"/><text x="{width / 2}" '
        f'y="{height / 2}" text-anchor="middle" font-family="{FONT}" font-size="12" '
        f'fill="{MUTED}">No data</text></svg>'
    )


def _is_wide(chart: Chart, table: Table, first_of_odd: bool) -> bool:
    width = chart.spec.get("width")
    if isinstance(width, int | float):
        return width >= 500
    if needs_width(chart.spec, table.columns, table.rows):
        return True
    return first_of_odd


class ChartJob:
    """Charts being drawn while this process does something else; `result()` waits for them."""

    def __init__(
        self, charts: Sequence[Chart], tables: Mapping[str, Table], time_zone: str
    ) -> None:
        self._charts = charts
        zone = ZoneInfo(time_zone)
        odd = len(charts) % 2 == 1
        checked = [_checked(chart, tables[chart.source]) for chart in charts]
        self._wide = [
            _is_wide(chart, tables[chart.source], odd and i == 0) for i, chart in enumerate(charts)
        ]
        self._process: subprocess.Popen[bytes] | None = None
        specs = [
            _specification(chart, spec, tables[chart.source], zone, wide)
            for chart, spec, wide in zip(charts, checked, self._wide, strict=True)
            if tables[chart.source].rows
        ]
        self._drawn = [bool(tables[chart.source].rows) for chart in charts]
        if specs:
            self._process = workers.take(workers.WorkerKind.CHARTS)
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            try:
                self._process.stdin.write(json.dumps({"theme": THEME, "specs": specs}).encode())
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it is gone already: result() says so

    def result(self) -> dict[str, ChartImage]:
        """The charts by name, in their order. Raises RunError, which names the chart."""
        lines = iter(self._answers())
        images: dict[str, ChartImage] = {}
        for chart, wide, drawn in zip(self._charts, self._wide, self._drawn, strict=True):
            svg = self._svg(chart, next(lines, None)) if drawn else None
            svg = svg or _no_data(wide)
            images[chart.name] = ChartImage(chart.name, chart.title or "", svg, wide)
        return images

    def _svg(self, chart: Chart, answer: dict[str, Any] | None) -> str | None:
        """The drawing; None where a filter or transform leaves no row of it."""
        if answer is None:
            # It died over this one: out of the memory that its engine allows itself.
            raise RunError(Reason.RESOURCE_EXHAUSTED, f"{_field(chart)}: drawing it was killed")
        if "error" in answer:
            raise _wrong(chart, answer["error"])
        for warning in answer["warnings"]:
            logger.warning("%s: %s", _field(chart), warning)
        if not answer["shows_data"]:
            return None
        return right_to_left(without_gradients(str(answer["svg"])))

    def _answers(self) -> list[dict[str, Any]]:
        if self._process is None:
            return []
        process, self._process = self._process, None
        names = ", ".join(chart.name for chart in self._charts)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            limits = SandboxLimits(_SECONDS, share_of_memory(_MEMORY, 0.7), _OUTPUT)
            answer = read_bounded(
                process.pid, process.stdout.fileno(), limits, f"spec.report.charts[{names}]"
            )
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        return [json.loads(line) for line in answer.split(b"\n") if line]

    def cancel(self) -> None:
        """Ends the drawing; harmless when it is over."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
