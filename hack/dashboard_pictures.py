"""Pictures of the chart's dashboards for the docs: `make pictures`, after `make test-monitoring`.

The demo's reports are run for a while; then each panel's own queries are asked of the Prometheus
on that cluster, and the answers drawn as Grafana would lay them out. A picture has nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import vl_convert

from hack.dashboards.grafana import WIDTH, filled_in, positions
from hack.dashboards.model import ROOT, Dashboard, Panel
from hack.dashboards.panels import DASHBOARDS
from hack.steps import log, use_cluster, wait_for
from hack.up import demo_runs

DIRECTORY = ROOT / "docs" / "images"
VARIABLES = {"namespace": ".+", "reportschedule": ".+"}  # Grafana's "All"
CELL, ROW, GAP, HEAD = 40, 26, 6, 24  # pixels: Grafana's grid, and a panel's title
POINTS = 72
GOOD, BAD, INK, FAINT, FRAME = "#3f8f5f", "#c4483c", "#22272e", "#6b737d", "#d5d9de"
STYLE = f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" fill="{INK}"'
THEME = {
    "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
    "axis": {"grid": True, "gridColor": "#eceef0", "domainColor": FRAME, "tickColor": FRAME,
             "labelColor": FAINT, "labelFontSize": 9, "title": None},
    "legend": {"orient": "bottom", "title": None, "labelFontSize": 9, "labelColor": INK,
               "symbolType": "stroke", "columns": 3, "labelLimit": 125},
    "view": {"stroke": None},
}  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """`points` are pairs of Unix seconds and value, in order."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class Answers(Protocol):
    """What each query gave, every `step` seconds of the picture's time or at its end."""

    @property
    def step(self) -> float: ...

    def over_time(self, expression: str) -> list[Series]: ...

    def at_the_end(self, expression: str) -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class PrometheusAnswers:
    """A Prometheus on loopback, asked for the time from `start` to `end` (Unix seconds)."""

    port: int
    start: float
    end: float

    @property
    def step(self) -> float:
        return (self.end - self.start) / POINTS

    def over_time(self, expression: str) -> list[Series]:
        asked = {"start": self.start, "end": self.end, "step": self.step}
        return [
            Series(item["metric"], numbers(item["values"]))
            for item in self._get("query_range", query=expression, **asked)
        ]

    def at_the_end(self, expression: str) -> list[Series]:
        return [
            Series(item["metric"], numbers([item["value"]]))
            for item in self._get("query", query=expression, time=self.end)
        ]

    def _get(self, what: str, **parameters: Any) -> Any:
        address = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)["data"]["result"]


def numbers(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    """The samples that can be drawn: a quantile of nothing is NaN."""
    found = [(float(at), float(text)) for at, text in values]
    return [(at, value) for at, value in found if math.isfinite(value)]


def legend(template: str, labels: Mapping[str, str]) -> str:
    """As Grafana fills in a legend: a label that is missing is empty."""
    names = re.findall(r"\{\{(\w+)\}\}", template)
    if names and not any(name in labels for name in names):
        return "none"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()


def shown(value: float, unit: str) -> str:
    """A figure with Grafana's unit, to three digits."""
    if unit == "s":
        size = abs(value)
        for limit, scale, suffix in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
            if size < limit:
                return f"{value / scale:.3g} {suffix}"
        return f"{value / 86_400:.3g} d"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    return f"{value:.3g}" if value % 1 or abs(value) >= 1e6 else f"{value:.0f}"


def runs_of(
    points: Sequence[tuple[float, float]], step: float
) -> Iterator[list[tuple[float, float]]]:
    """Split where a sample is missing, so that no line is drawn where nothing was measured."""
    part: list[tuple[float, float]] = []
    for point in points:
        if part and point[0] - part[-1][0] > 1.5 * step:
            yield part
            part = []
        part.append(point)
    if part:
        yield part


def bends(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without the points inside of a level stretch: the same line in fewer bytes."""
    last = len(points) - 1
    return [
        point
        for place, point in enumerate(points)
        if place in {0, last} or not points[place - 1][1] == point[1] == points[place + 1][1]
    ]


def rows_of(panel: Panel, series: Sequence[tuple[str, Series]], step: float) -> list[Row]:
    """`at` in milliseconds; `part` numbers the lines, of which a series may have several."""
    parts = [(name, part) for name, one in series for part in runs_of(one.points, step)]
    return [
        {"at": at * 1000, "value": value, "series": name, "part": number}
        for number, (name, part) in enumerate(parts)
        # What is stacked needs all points of every series.
        for at, value in (part if panel.stacked else bends(part))
    ]


def chart(panel: Panel, rows: Sequence[Row], width: int, height: int) -> str:
    """A panel over time as SVG."""
    scaled = {"percentunit": ".0%", "bytes": ".2s", "s": "~s", "short": "~s"}[panel.unit]
    least: Row = {"domainMin": 0}
    if not any(row["value"] for row in rows):
        least["domainMax"] = 1
    encoding: Row = {
        "x": {
            "field": "at",
            "type": "temporal",
            "scale": {"type": "utc"},
            "axis": {"format": "%H:%M", "tickCount": 5},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "stack": "zero" if panel.stacked else None,
            "scale": least,
            "axis": {"format": scaled, "tickCount": 4},
        },
        "color": {"field": "series", "type": "nominal", "scale": {"scheme": "tableau10"}},
    }
    if not panel.stacked:
        encoding["detail"] = {"field": "part", "type": "nominal"}
    spec: Row = {
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "data": {"values": list(rows)},
        "mark": {"type": "area", "opacity": 0.6, "line": True}
        if panel.stacked
        else {"type": "line", "strokeWidth": 1.5},
        "encoding": encoding,
    }
    made: str = vl_convert.vegalite_to_svg(spec, config=THEME, allowed_base_urls=[])
    return re.sub(r' (aria-[a-z]+|role|class)="[^"]*"', "", made)  # the page has a text for all


def draw(panel: Panel, answers: Answers, width: int, height: int) -> str:
    """What is below a panel's title, as an SVG fragment."""
    asked = [(filled_in(query, VARIABLES), template) for query, template in panel.queries]
    if panel.kind == "stat":
        found = answers.at_the_end(asked[0][0])
        return _stat(panel, found[0].points[0][1] if found and found[0].points else None, width)
    if panel.kind == "table":
        return _table(answers.at_the_end(asked[0][0]), width, height)
    series = [
        (legend(template, one.labels), one)
        for query, template in asked
        for one in answers.over_time(query)
    ]
    rows = rows_of(panel, series, answers.step)
    return chart(panel, rows, width, height) if rows else _nothing(width, height)


def _stat(panel: Panel, value: float | None, width: int) -> str:
    bad = value is not None and panel.bad is not None and value >= panel.bad
    text = "no data" if value is None else shown(value, panel.unit)
    color = FAINT if value is None else BAD if bad else GOOD
    at = f'x="{width / 2:.0f}" y="44" text-anchor="middle"'
    return (
        f'<text {at} font-size="26" font-weight="bold" style="fill:{color}">{escape(text)}</text>'
    )


def _table(found: Sequence[Series], width: int, height: int) -> str:
    names = sorted({name for series in found for name in series.labels})
    if not names:
        return _nothing(width, height)
    rows = [names, *sorted([series.labels.get(name, "") for name in names] for series in found)]
    column = (width - 2 * GAP) / len(names)
    room = int(column / 6)  # letters
    drawn = []
    for line, row in enumerate(rows[: height // 18]):
        weight = "bold" if line == 0 else "normal"
        for place, cell in enumerate(row):
            text = cell if len(cell) <= room else cell[: room - 1] + "…"
            at = f'x="{GAP + place * column:.0f}" y="{16 + line * 18}" font-weight="{weight}"'
            drawn.append(f'<text {at} font-size="10">{escape(text)}</text>')
    return "".join(drawn)


def _nothing(width: int, height: int) -> str:
    at = f'x="{width / 2:.0f}" y="{height / 2:.0f}" text-anchor="middle"'
    return f'<text {at} font-size="11" style="fill:{FAINT}">no data</text>'


def picture(dashboard: Dashboard, answers: Answers) -> str:
    """The dashboard as one SVG."""
    parts, bottom = [], 0
    for panel, (left, top) in positions(dashboard.panels):
        x, y = left * CELL, top * ROW
        width, height = panel.width * CELL - GAP, panel.height * ROW - GAP
        inner = draw(panel, answers, width - 2, height - HEAD - 4)
        parts.append(
            f'<g transform="translate({x},{y})">'
            f'<rect width="{width}" height="{height}" rx="3" fill="#fff" stroke="{FRAME}"/>'
            f'<text x="{GAP}" y="16" font-size="11" font-weight="bold">{escape(panel.title)}</text>'
            f'<g transform="translate(1,{HEAD})">{inner}</g></g>'
        )
        bottom = max(bottom, y + height)
    size = f'viewBox="0 0 {WIDTH * CELL} {bottom + GAP}"'
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    title = f"<title>{escape(dashboard.title)}</title>"
    back = '<rect width="100%" height="100%" fill="#f4f5f6"/>'
    return f"<svg {space} {size} {STYLE}>{title}{back}{''.join(parts)}</svg>\n"


@contextmanager
def forwarded(service: str, namespace: str, port: int) -> Iterator[int]:
    """A port on loopback that leads to the Service's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = int(free.getsockname()[1])
    command = ["kubectl", "-n", namespace, "port-forward", f"svc/{service}", f"{own}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as forward:

        def open_() -> bool:
            if forward.poll() is not None:
                sys.exit(f"{' '.join(command)} ended")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", own)) == 0

        try:
            wait_for(f"{service} can be reached", open_, 30)
            yield own
        finally:
            forward.kill()


def run_demo(seconds: float) -> None:
    """The demo's reports, again and again for so long."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        log(f"the demo's reports ({passed:.0f} of {seconds:.0f} s)")
        demo_runs()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12, help="what a picture shows")
    parser.add_argument("--no-runs", action="store_true", help="draw what has happened anyway")
    arguments = parser.parse_args()
    use_cluster()
    if not arguments.no_runs:
        run_demo(arguments.minutes * 60)
    DIRECTORY.mkdir(exist_ok=True)
    with forwarded("prometheus-operated", "monitoring", 9090) as port:
        end = time.time()
        source = PrometheusAnswers(port, end - arguments.minutes * 60, end)
        for dashboard in DASHBOARDS:
            path = DIRECTORY / f"{dashboard.uid}.svg"
            path.write_text(picture(dashboard, source))
            log(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
