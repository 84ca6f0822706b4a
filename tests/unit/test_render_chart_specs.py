"""A chart's specification is checked before it is drawn, and its names are whole and legible."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from PIL import Image
from pydantic import ValidationError

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Chart, Format
from report_runner.models import RunError, Table
from report_runner.render import chart_worker
from report_runner.render.charts import ChartImage, ChartJob
from report_runner.render.documents import render
from report_runner.render.vegalite.columns import resolve_columns
from report_runner.render.vegalite.labels import colours
from report_runner.render.vegalite.schema import load_schema, schema_problem
from tests.unit.test_render_documents import given

COLUMNS = ("Region", "Net value [EUR]", "a.b", "Q1: sales", "it's")
TABLE = Table(COLUMNS, [("North", 10, 5, 3, 1), ("South", 20, 7, 4, 1), ("East", 15, 9, 8, 1)])
QUANTITY = {"field": "Q1: sales", "type": "quantitative"}


def draw(spec: dict[str, Any], table: Table = TABLE) -> ChartImage:
    job = ChartJob((Chart(name="c", source="a", spec=spec),), {"a": table}, "Europe/Madrid")
    return job.result()["c"]


def complaint(spec: dict[str, Any], table: Table = TABLE) -> str:
    with pytest.raises(RunError) as caught:
        draw(spec, table)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix("spec.report.charts[c].spec")


def bars(**channels: Any) -> dict[str, Any]:
    return {"mark": "bar", "encoding": {"x": {"field": "Region"}, "y": QUANTITY} | channels}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (bars() | {"mark": "bars"}, ".mark: 'bars' is not possible here; did you mean 'bar'?"),
        ({"mark": {"type": "lin"}}, ".mark.type: 'lin' is not possible here; did you mean 'line'?"),
        ({"mark": "bar", "encodings": {}},
         ".encodings: Vega-Lite knows no such key here; did you mean 'encoding'?"),
        (bars(y={**QUANTITY, "aggregate": "summ"}),
         ".encoding.y.aggregate: 'summ' is not possible here; did you mean 'sum'?"),
        (bars(y={**QUANTITY, "type": "quantitive"}),
         ".encoding.y.type: 'quantitive' is not possible here; did you mean 'quantitative'?"),
        (bars(y={"feild": "Region"}), ".encoding.y.feild: Vega-Lite knows no such key here"),
        (bars(y={"field": 3}), ".encoding.y.field: has to be a text or an object"),
        ({"layer": [{"mark": "bar", "encodin": {}}]}, ".layer[0].encodin: Vega-Lite knows no"),
        ({"encoding": {}}, ": mark is missing"),
        (bars(y={"field": "sales", "type": "quantitative"}),
         ".encoding.y.field: source a has no column 'sales'; did you mean 'Q1: sales'?"),
        (bars(x={"field": "region"}), "no column 'region'; did you mean 'Region'?"),
        (bars(x={"field": "Region", "sort": {"field": "sale", "op": "sum"}}),
         ".encoding.x.sort.field: source a has no column 'sale'"),
        (bars(tooltip=[{"field": "x"}]), ".encoding.tooltip[0].field: source a has no column 'x'"),
        (bars() | {"transform": [{"calculate": "datum.regio + 1", "as": "r"}]},
         ".transform[0].calculate: source a has no column 'regio'; did you mean 'Region'?"),
        (bars() | {"transform": [{"filter": {"field": "rgion", "equal": 1}}]},
         ".transform[0].filter.field: source a has no column 'rgion'"),
        # What an aggregation does not keep is gone.
        (bars() | {"transform": [{"aggregate": [{"op": "count", "as": "n"}], "groupby": ["a.b"]}]},
         ".encoding.x.field: source a has no column 'Region'; it has a.b, n"),
        ({"repeat": ["a.b", "q1"], "spec": bars(x={"field": {"repeat": "repeat"}})},
         ".repeat[1]: source a has no column 'q1'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_specification_is_said(spec: dict[str, Any], said: str) -> None:
    assert said in complaint(spec)


@pytest.mark.parametrize("name", [*COLUMNS[1:], r"Net value \[EUR\]", r"a\.b"])
def test_a_column_of_any_name_is_drawn(name: str) -> None:
    svg = draw(bars(y={"field": name, "type": "quantitative"})).svg
    title = name.replace("\\", "")
    assert f">{title}</text>" in svg
    heights = re.findall(r'aria-label="Region: \w+; [^"]*: (\d+)"', svg)
    index = COLUMNS.index(title)
    assert sorted(map(int, heights)) == sorted(row[index] for row in TABLE.rows)


@pytest.mark.parametrize(
    "transform",
    [
        {"calculate": "datum['a.b'] * datum['Net value [EUR]']", "as": "made"},
        {"fold": ["a.b", "Q1: sales"], "as": ["k", "made"]},
        {"window": [{"op": "row_number", "as": "made"}], "sort": [{"field": "a.b"}]},
        {"joinaggregate": [{"op": "sum", "field": "a.b", "as": "made"}]},
        {"bin": True, "field": "a.b", "as": "made"},
        {"pivot": "Region", "value": "a.b"},
        {"lookup": "Region", "from": {"data": {"values": [{"r": "North", "made": 1}]}, "key": "r",
                                      "fields": ["made"]}},
    ],
)  # fmt: skip
def test_columns_of_transforms_are_known(transform: dict[str, Any]) -> None:
    y = {"field": "made", "type": "quantitative"}
    spec = {"mark": "bar", "transform": [transform], "encoding": {"y": y}}
    assert schema_problem({**spec, "data": {"values": []}}) is None
    assert resolve_columns(spec, COLUMNS, "a")[1] is None


def test_the_schema_is_of_the_version_that_draws() -> None:
    version = load_schema()["version"]
    assert version.startswith(f"{chart_worker.VERSION}.")
    assert vl_convert.get_vegalite_versions()[-1] == chart_worker.VERSION


def test_checking_takes_no_time() -> None:
    spec = {"hconcat": [{"layer": [bars()] * 20}] * 5, "data": {"values": []}}
    load_schema()
    before = time.process_time()
    assert schema_problem(spec) is None
    assert time.process_time() - before < 0.5


def test_a_deep_specification_is_refused() -> None:
    spec: dict[str, Any] = bars()
    for _ in range(40):
        spec = {"hconcat": [spec]}
    with pytest.raises(ValidationError, match="nested deeper than 32 levels"):
        Chart(name="c", source="a", spec=spec)


def test_control_characters_are_shown_as_in_a_table() -> None:
    table = Table(("name\x02", "v"), [("A\x02B", 3), ("C & <D>", 4)])
    spec = {"mark": "bar", "encoding": {"x": {"field": "v", "type": "quantitative"},
                                        "y": {"field": "name\x02", "title": "T\x1b"}}}  # fmt: skip
    svg = draw(spec, table).svg
    for text in ("A�B", "C &amp; &lt;D&gt;", "T�"):
        assert f">{text}</text>" in svg


def test_names_beside_each_other_keep_a_gap() -> None:
    years = Table(("year", "v"), [(str(2000 + n), n) for n in range(11)])
    spec = {"mark": "rect", "width": 360, "encoding": {
        "x": {"field": "year", "type": "ordinal", "title": None},
        "color": {"field": "v", "type": "quantitative"}}}  # fmt: skip
    svg = draw(spec, years).svg
    assert all("rotate(" in tag for tag in re.findall(r"<text[^>]*>20\d\d<", svg))
    assert len(re.findall(r"<text[^>]*>20\d\d<", svg)) == 11


@pytest.mark.parametrize("orient", ["top", "right"])
def test_the_colour_scale_of_a_legend_is_printed(orient: str) -> None:
    table = Table(("a", "v"), [(str(n), n) for n in range(11)])
    colour = {"field": "v", "type": "quantitative", "legend": {"orient": orient}}
    spec = {"mark": "rect", "encoding": {"x": {"field": "a", "type": "ordinal"}, "color": colour}}
    svg = draw(spec, table).svg
    legend = svg[svg.index("role-legend-gradient") :]
    fills = re.findall(r'<rect [^>]*fill="(rgb[^"]+)"', legend)
    assert len(fills) >= 15
    assert len(set(fills)) == len(fills)
    assert "url(#" not in legend


def test_no_row_says_so() -> None:
    assert ">No data</text>" in draw(bars(), Table(COLUMNS, [])).svg
    assert ">No data</text>" in draw(bars(), Table((), [])).svg
    assert "no column 'region'" in complaint(bars(x={"field": "region"}), Table(COLUMNS, []))


@pytest.mark.parametrize("mark", ["bar", "line", "area", "point", "boxplot", "rule"])
def test_a_chart_without_a_row_after_its_filter_says_so(mark: str) -> None:
    spec = bars() | {"mark": mark}
    assert "No data" not in draw(spec).svg
    none = [{"filter": "datum['a.b'] > 100"}]
    layers = {"layer": [spec, {"mark": "rule", "encoding": {"y": {"datum": 5}}}]}
    facets = {"facet": {"field": "Region"}, "spec": spec}
    for emptied in (spec, layers, facets, {"hconcat": [spec, spec]}):
        assert ">No data</text>" in draw(emptied | {"transform": none}).svg


def categories(count: int, text: str = "Cost centre with a long name") -> Table:
    return Table(("name", "v"), [(f"{text} {n:03d}", n + 1) for n in range(count)])


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("kind", ["nominal", "ordinal"])
def test_an_axis_of_a_hundred_categories_has_each_name(axis: str, kind: str) -> None:
    other = "y" if axis == "x" else "x"
    table = categories(100)
    encoding = {axis: {"field": "name", "type": kind}, other: {"field": "v"}}
    encoding[other]["type"] = "quantitative"
    image = draw({"mark": "bar", "encoding": encoding}, table)
    assert {f">{name}</text>" for name, _ in table.rows} <= set(
        re.findall(">[^<]+</text>", image.svg)
    )
    assert image.wide
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)px"[^>]*>Cost', image.svg)]
    assert len(sizes) == 100
    assert min(sizes) >= 5.5
    width, height = map(float, re.findall(r' (?:width|height)="([\d.]+)"', image.svg)[:2])
    assert width <= 780
    assert height <= 940
    assert "can be read on this axis; show fewer" in complaint(
        {"mark": "bar", "encoding": encoding}, categories(400)
    )


@pytest.mark.parametrize("text", ["Product", "Business unit for international products number"])
def test_a_legend_of_fifty_has_each_entry_and_colour(text: str) -> None:
    table = categories(50, text)
    spec = {"mark": "bar", "encoding": {"y": {"field": "v", "type": "quantitative"},
                                        "color": {"field": "name", "type": "nominal"}}}  # fmt: skip
    svg = draw(spec, table).svg
    assert {f">{name}</text>" for name, _ in table.rows} <= set(re.findall(">[^<]+</text>", svg))
    assert "…" not in svg
    assert len(set(colours(50))) == 50
    width, height = map(float, re.findall(r' (?:width|height)="([\d.]+)"', svg)[:2])
    assert width <= 780
    assert height <= 940


def picture(tmp_path: Path, template: str, table: Table) -> Image.Image:
    chart = Chart(name="c", source="a", spec={"mark": {"type": "text", "fontSize": 40, "x": 20,
        "y": 60, "align": "left"}, "width": 400, "height": 120,
        "encoding": {"text": {"field": "name"}}})  # fmt: skip
    data = given(tables={"a": table}, charts=(chart,), template=template)
    (made,) = render(data, [Format.PDF], tmp_path)
    subprocess.run(
        ["pdftoppm", "-r", "60", "-png", "-singlefile", made.path, tmp_path / "p"], check=True
    )
    image = Image.open(tmp_path / "p.png").convert("L").point(lambda level: 255 * (level < 128))
    return image.crop(image.getbbox())


@pytest.mark.parametrize("text", ["الرياض", "תל אביב", "مبيعات 2026 EUR", "Growth"])
def test_a_text_of_a_chart_is_shaped_as_in_a_paragraph(tmp_path: Path, text: str) -> None:
    """Reversed or unjoined, it would have other parts in other places."""
    table = Table(("name",), [(text,)])
    chart = picture(tmp_path, "{{ charts.c }}", table)
    direction = "ltr" if text.isascii() else "rtl"
    paragraph = picture(
        tmp_path,
        f'<span dir={direction} style="font: 40px DejaVu Sans; white-space: nowrap">{text}</span>',
        table,
    )
    assert abs(chart.width - paragraph.width) <= 2
    same = chart.resize(paragraph.size)
    pairs = list(zip(same.tobytes(), paragraph.tobytes(), strict=True))
    ink = sum(1 for _, dark in pairs if dark)
    assert sum(1 for one, other in pairs if one and other) > 0.8 * ink


def test_emoji_have_a_shape(tmp_path: Path) -> None:
    """Without a font for them, all are the same empty box."""
    pictures = {
        picture(tmp_path, "{{ charts.c }}", Table(("name",), [(text,)])).tobytes()
        for text in ("🚀", "📈", "🏦")
    }
    assert len(pictures) == 3


def test_specifications_of_the_field_pass() -> None:
    """No false alarm: the forms in which specifications are usually written."""
    first, second = COLUMNS[:2]
    spec: dict[str, Any] = {
        "params": [{"name": "pick", "select": {"type": "point", "fields": [first]}}],
        "transform": [{"filter": f"isValid(datum['{second}'])"}],
        "layer": [
            {"mark": {"type": "point", "tooltip": True},
             "encoding": {"x": {"field": first, "type": "nominal", "axis": {"labelColor": {
                 "condition": {"test": {"field": "value", "lt": 3}, "value": "red"},
                 "value": "black"}}},
                 "y": {"aggregate": "count"},
                 "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.2}}},
            {"mark": "rule", "encoding": {"y": {"datum": 3}}},
        ],
    }  # fmt: skip
    assert schema_problem(json.loads(json.dumps(spec)) | {"data": {"values": []}}) is None
    assert resolve_columns(spec, COLUMNS, "a")[1] is None
