"""Drawings beside and below each other are legible and on the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from report_runner.contract.report import BuiltinTemplate, Chart, Format
from report_runner.models import Table
from report_runner.render.documents import builtin_template, render
from tests.unit.test_render_chart_specs import complaint, draw
from tests.unit.test_render_documents import given

DESKS = [f"Cost centre {number}" for number in range(1, 13)]
REGIONS = ["North America", "Europe", "Asia Pacific", "Latin America"]
TABLE = Table(
    ("desk", "region", "amount", "count", "year"),
    [
        (desk, region, (i * 7 + j * 13) % 40 + 5, (i * 3 + j * 5) % 20, 2020 + i % 6)
        for i, desk in enumerate(DESKS)
        for j, region in enumerate(REGIONS)
    ],
)
AMOUNT = {"field": "amount", "type": "quantitative", "aggregate": "sum"}
DESK, REGION, YEAR = {"field": "desk"}, {"field": "region"}, {"field": "year"}
BARS = {"mark": "bar", "encoding": {"x": REGION, "y": AMOUNT, "color": REGION}}
BY_DESK = {"mark": "bar", "encoding": {"y": DESK, "x": AMOUNT}}
REPEATED = {**AMOUNT, "field": {"repeat": "repeat"}}
SPECS: dict[str, dict[str, Any]] = {
    "facet": {"facet": DESK, "spec": BARS},
    "facet channel": {"mark": "bar", "encoding": {"x": REGION, "y": AMOUNT, "facet": DESK}},
    "rows and columns": {"facet": {"row": YEAR, "column": REGION}, "spec": BY_DESK},
    "row and column": {
        "mark": "bar",
        "encoding": {"x": YEAR, "y": AMOUNT, "column": REGION, "row": YEAR},
    },
    "hconcat": {"hconcat": [BY_DESK, {"vconcat": [BARS, BARS]}]},
    "vconcat": {"vconcat": [{"mark": "bar", "encoding": {"x": DESK, "y": AMOUNT}}, BARS, BARS]},
    "concat": {"concat": [BARS] * 7},
    "repeat": {
        "repeat": ["amount", "count"],
        "spec": {"mark": "bar", "encoding": {"x": DESK, "y": REPEATED}},
    },
    "repeat layer": {
        "repeat": {"layer": ["amount", "count"]},
        "spec": {
            "mark": "line",
            "encoding": {"x": DESK, "y": {**AMOUNT, "field": {"repeat": "layer"}}},
        },
    },
    "layer": {
        "layer": [
            {"mark": "bar", "encoding": {"x": DESK, "y": AMOUNT}},
            {"mark": "rule", "encoding": {"y": {"datum": 100}}},
        ]
    },
    "layers in facets": {
        "facet": {"column": REGION},
        "spec": {"layer": [BY_DESK, {"mark": "tick", "encoding": {"y": DESK, "x": AMOUNT}}]},
    },
}


@pytest.mark.parametrize("name", SPECS)
def test_composed_charts_are_legible_and_on_the_page(name: str) -> None:
    svg = draw(SPECS[name], TABLE).svg
    width, height = map(float, re.findall(r' (?:width|height)="([\d.]+)"', svg)[:2])
    assert width <= 780
    assert height <= 960
    assert min(map(float, re.findall(r'font-size="([\d.]+)px"', svg))) >= 5.5
    texts = set(re.findall(">([^<>]+)</text>", svg))
    assert "…" not in "".join(texts)
    shown = str(SPECS[name])
    assert set(DESKS) <= texts or "'desk'" not in shown
    assert set(REGIONS) <= texts or "'region'" not in shown


def test_sizes_of_an_author_stay() -> None:
    sized = {**BARS, "width": 90, "height": 70}
    svg = draw({"facet": DESK, "columns": 2, "spec": sized}, TABLE).svg
    width, height = map(float, re.findall(r' (?:width|height)="([\d.]+)"', svg)[:2])
    assert width < 400
    assert height > 6 * 70


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hconcat": [BARS] * 14}, "so many drawings beside each other leave"),
        ({"vconcat": [BARS] * 14}, "and a page has 920"),
        ({"facet": {"column": DESK}, "spec": BARS}, "a name takes"),
    ],
)
def test_what_has_no_room_fails(spec: dict[str, Any], said: str) -> None:
    assert said in complaint(spec, TABLE)


def test_composed_charts_stand_on_pages_of_a_builtin_template(tmp_path: Path) -> None:
    charts = tuple(
        Chart(name=f"c{number}", source="a", spec=spec)
        for number, spec in enumerate(SPECS.values())
    )
    template = builtin_template(BuiltinTemplate.EXECUTIVE_DASHBOARD)
    render(given(tables={"a": TABLE}, charts=charts, template=template), [Format.PDF], tmp_path)


def test_a_high_chart_beside_a_wide_table_is_on_the_page(tmp_path: Path) -> None:
    wide = Table(tuple(f"month_{n:02d}" for n in range(40)), [tuple(range(10**6, 10**6 + 40))])
    spec = {"mark": "bar", "encoding": {"y": {"field": "name"}, "x": {**AMOUNT, "field": "v"}}}
    high = Table(("name", "v"), [(f"Cost centre {n:03d}", n) for n in range(90)])
    data = given(
        tables={"wide": wide, "high": high},
        charts=(Chart(name="c", source="high", spec=spec),),
        template=builtin_template(BuiltinTemplate.EXECUTIVE_DASHBOARD),
    )
    (made,) = render(data, [Format.PDF], tmp_path)
    assert made.pages


def test_charts_begin_below_the_title(tmp_path: Path) -> None:
    """A flexible box whose second line has no room would leave the first page empty."""
    wide = Table(tuple(f"month_{n:02d}" for n in range(40)), [tuple(range(10**6, 10**6 + 40))])
    many = Table(("n", "v"), [(f"Business unit {n:02d}", n) for n in range(50)])
    bars = {"mark": "bar", "encoding": {"y": {**AMOUNT, "field": "v"}}}
    legend = {**bars, "encoding": {**bars["encoding"], "color": {"field": "n"}}}
    charts = (
        Chart(name="c", source="many", spec=legend),
        Chart(name="d", source="many", title="Second", spec=bars),
    )
    template = builtin_template(BuiltinTemplate.EXECUTIVE_DASHBOARD)
    data = given(tables={"wide": wide, "many": many}, charts=charts, template=template)
    (made,) = render(data, [Format.PDF], tmp_path)
    first = PdfReader(made.path).pages[0]
    assert first.mediabox.width > first.mediabox.height
    assert "Business unit 49" in first.extract_text()
