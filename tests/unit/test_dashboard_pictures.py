"""The pictures of the dashboards say what Prometheus answered, and say so where it had nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import pytest

from hack.dashboard_pictures import Series, legend, numbers, picture, rows_of, shown
from hack.dashboards.model import Dashboard, Panel
from hack.dashboards.panels import DASHBOARDS

START, END = 1_700_000_000.0, 1_700_000_900.0


@dataclass
class Known:
    """Answers by the query's text, in Prometheus' shape."""

    results: dict[str, list[Any]]
    step: float = 60.0

    def over_time(self, expression: str) -> list[Series]:
        found = self.results.get(expression, [])
        return [Series(item["metric"], numbers(item["values"])) for item in found]

    def at_the_end(self, expression: str) -> list[Series]:
        return self.over_time(expression)


def words(svg: str) -> list[str]:
    """Every text of a drawing, which has to be well-formed."""
    root = ET.fromstring(svg)  # noqa: S314  (ours)
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()) for node in found]


def test_panels_show_what_was_answered() -> None:
    dashboard = Dashboard(
        "one", "One", "A dashboard.",
        [
            Panel("Used", "A share.", [("used", "")], "stat", "percentunit", 4, 4, 0.9),
            Panel("Who", "Names.", [("who", "")], "table"),
            Panel("Runs", "Over time.", [("runs", "{{result}} of {{team}}")]),
            Panel("Nothing", "Not there.", [("nothing", "{{a}}")]),
        ],
    )  # fmt: skip
    answers = {
        "used": [{"metric": {}, "values": [[END, "0.934"]]}],
        "who": [{"metric": {"team": "a<b", "cause": "Timeout"}, "values": [[END, "1"]]}],
        "runs": [
            {"metric": {"result": name}, "values": [[START, "1"], [START + 60, "NaN"], [END, "3"]]}
            for name in ("Failed", "Succeeded")
        ],
    }
    drawn = words(picture(dashboard, Known(answers)))
    assert {"Used", "93.4 %", "team", "a<b", "Timeout"} <= set(drawn)
    assert {"Failed of", "Succeeded of"} <= set(drawn)
    assert drawn.count("no data") == 1


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: d.uid)
def test_a_prometheus_without_series_makes_no_figures(dashboard: Dashboard) -> None:
    drawn = words(picture(dashboard, Known({})))
    assert drawn.count("no data") == len(dashboard.panels)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "short", "0"),
        (12.0, "short", "12"),
        (0.125, "short", "0.125"),
        (59.0, "s", "59 s"),
        (90.0, "s", "1.5 min"),
        (-7200.0, "s", "-2 h"),
        (864_000.0, "s", "10 d"),
        (2**20 * 96.0, "bytes", "96 MiB"),
        (0.5, "percentunit", "50 %"),
    ],
)
def test_figures_have_units(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_legends_are_filled_in() -> None:
    assert legend("{{stage}} p95", {"stage": "queued"}) == "queued p95"
    assert legend("{{result}} {{reason}}", {"result": "Succeeded"}) == "Succeeded"
    assert legend("{{namespace}}/{{reportbackfill}}", {}) == "none"


def test_no_line_is_drawn_where_nothing_was_measured() -> None:
    points = [(0.0, 1.0), (10.0, 1.0), (20.0, 1.0), (60.0, 2.0), (70.0, 3.0)]
    panel = Panel("Runs", "Over time.", [("runs", "x")])
    rows = rows_of(panel, [("x", Series({}, points))], 10.0)
    assert [(row["part"], row["at"], row["value"]) for row in rows] == [
        (0, 0, 1), (0, 20_000, 1), (1, 60_000, 2), (1, 70_000, 3),
    ]  # fmt: skip
