"""Vega-Lite charts become SVG, in a process of its own: its JavaScript engine can crash.

A chart's data are the rows of its source; nothing is ever fetched.
"""

from __future__ import annotations

import base64
import json
import logging
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
from report_runner.render.sandbox import MIB, SandboxLimits, read_bounded, share_of_memory

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
        "titlePadding": 8,
    },
    "axisX": {"grid": False, "labelOverlap": "greedy", "labelFlush": True},
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
    },
    "title": {"font": FONT, "color": INK, "fontSize": 12, "anchor": "start"},
    "header": {"labelFont": FONT, "titleFont": FONT, "labelColor": INK},
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

_COMPOSED = ("hconcat", "vconcat", "concat", "facet", "repeat")
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


def _wrong(chart: Chart, problem: str) -> RunError:
    return RunError(Reason.CONFIGURATION_ERROR, f"{_field(chart)}: {problem}")


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


def _specification(chart: Chart, table: Table, zone: ZoneInfo, wide: bool) -> dict[str, Any]:
    check_spec(chart)
    if "data" in chart.spec:
        raise _wrong(chart, "remove data; the rows of the chart's source are its data")
    spec = dict(chart.spec)
    try:
        spec["data"] = {"values": chart_values(table, chart.spec, zone)}
    except ValueError as error:
        raise _wrong(chart, str(error)) from None
    if not any(word in spec for word in _COMPOSED):
        width, height = WIDE if wide else HALF
        spec.setdefault("width", width)
        spec.setdefault("height", height)
        spec.setdefault("autosize", {"type": "fit", "contains": "padding"})
    spec.setdefault("$schema", "https://vega.github.io/schema/vega-lite/v5.json")
    return spec


def _is_wide(chart: Chart, first_of_odd: bool) -> bool:
    width = chart.spec.get("width")
    if isinstance(width, int | float):
        return width >= 500
    return first_of_odd or any(word in chart.spec for word in _COMPOSED)


class ChartJob:
    """Charts being drawn while this process does something else; `result()` waits for them."""

    def __init__(
        self, charts: Sequence[Chart], tables: Mapping[str, Table], time_zone: str
    ) -> None:
        self._charts = charts
        zone = ZoneInfo(time_zone)
        odd = len(charts) % 2 == 1
        self._wide = [_is_wide(chart, odd and i == 0) for i, chart in enumerate(charts)]
        self._process: subprocess.Popen[bytes] | None = None
        if charts:
            specs = [
                _specification(chart, tables[chart.source], zone, wide)
                for chart, wide in zip(charts, self._wide, strict=True)
            ]
            self._process = workers.take(workers.WorkerKind.CHARTS)
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            try:
                self._process.stdin.write(json.dumps({"theme": THEME, "specs": specs}).encode())
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it is gone already: result() says so

    def result(self) -> dict[str, ChartImage]:
        """The charts by name, in their order. Raises RunError, which names the chart."""
        if self._process is None:
            return {}
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
        lines = [json.loads(line) for line in answer.split(b"\n") if line]
        images: dict[str, ChartImage] = {}
        for index, chart in enumerate(self._charts):
            if index >= len(lines):
                # It died over this one: out of the memory that its engine allows itself.
                raise RunError(Reason.RESOURCE_EXHAUSTED, f"{_field(chart)}: drawing it was killed")
            if "error" in lines[index]:
                raise _wrong(chart, lines[index]["error"])
            for warning in lines[index]["warnings"]:
                logger.warning("%s: %s", _field(chart), warning)
            images[chart.name] = ChartImage(
                chart.name, chart.title or "", lines[index]["svg"], self._wide[index]
            )
        return images

    def cancel(self) -> None:
        """Ends the drawing; harmless when it is over."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
