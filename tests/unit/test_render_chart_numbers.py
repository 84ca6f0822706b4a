"""A number that is read in a chart has the digits that the database has."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Any

import pytest

from report_runner.models import Table
from tests.unit.test_render_chart_specs import complaint, draw

BIG = [9007199254740993, 9007199254740995, 1182938475610293847]
LONG = [Decimal("1104729.0123456789012"), Decimal("20.5"), Decimal("3")]


def written(spec: dict[str, Any], table: Table) -> list[str]:
    """The texts of a drawing in their order."""
    return [html.unescape(text) for text in re.findall(r">([^<>]+)</text>", draw(spec, table).svg)]


def labels(**field: Any) -> dict[str, Any]:
    """Bars by name, each with a text."""
    bar = {"mark": "bar", "encoding": {"y": {"field": "v", "type": "quantitative"}}}
    text = {"mark": "text", "encoding": {"text": {"field": "t", "type": "quantitative"} | field}}
    return {"encoding": {"x": {"field": "n"}}, "layer": [bar, text]}


def table(*values: Any) -> Table:
    return Table(("n", "v", "t"), [(f"n{i}", i + 1, value) for i, value in enumerate(values)])


@pytest.mark.parametrize("values", [BIG, LONG, [Decimal("123456789012.34"), 1, 2]])
@pytest.mark.parametrize("kind", ["quantitative", "nominal", "ordinal"])
def test_a_text_has_every_digit(values: list[Any], kind: str) -> None:
    shown = written(labels(type=kind), table(*values))
    assert {str(value) for value in values} <= set(shown)


@pytest.mark.parametrize("channel", ["x", "color", "row"])
@pytest.mark.parametrize("kind", ["nominal", "ordinal"])
def test_a_label_has_every_digit_and_its_place(channel: str, kind: str) -> None:
    values = [*BIG, 1000, 999]
    spec = {"mark": "bar", "encoding": {channel: {"field": "t", "type": kind},
                                        "y": {"field": "v", "type": "quantitative"}}}  # fmt: skip
    shown = [text for text in written(spec, table(*values)) if text in set(map(str, values))]
    assert shown == [str(value) for value in sorted(values)]


def test_numbers_that_are_alike_as_doubles_are_two_groups() -> None:
    spec = {
        "transform": [{"aggregate": [{"op": "count", "as": "c"}], "groupby": ["t"]}],
        "mark": "bar",
        "encoding": {"x": {"field": "t"}, "y": {"field": "c", "type": "quantitative"}},
    }
    shown = written(spec, table(9007199254740992, 9007199254740993))
    assert {"9007199254740992", "9007199254740993"} <= set(shown)


def test_what_is_computed_is_written_with_fifteen_digits() -> None:
    spec = {"mark": "text", "encoding": {"text": {"field": "t", "type": "quantitative",
                                                  "aggregate": "sum"}}}  # fmt: skip
    amounts = [Decimal("9000000000.01"), Decimal("3345678901.22"), Decimal("0.1"), Decimal("0.2")]
    assert written(spec, table(*amounts)) == ["12345678901.53"]
    assert "the sum of column t may have more than 15 digits" in complaint(
        spec, table(Decimal("12345678901234.56"), Decimal("0.1"))
    )


@pytest.mark.parametrize(
    "spec",
    [
        labels(format=",.0f"),
        {"mark": "bar", "encoding": {"x": {"field": "t"}, "y": {"field": "t",
                                                                "type": "quantitative"}}},
        {"transform": [{"filter": "datum.t == 9007199254740993"}], "mark": "bar",
         "encoding": {"x": {"field": "n"}}},
        {"transform": [{"filter": {"field": "t", "equal": 9007199254740993}}], "mark": "bar",
         "encoding": {"x": {"field": "n"}}},
        {"transform": [{"calculate": "'' + datum['t']", "as": "w"}], "mark": "text",
         "encoding": {"text": {"field": "w"}}},
        {"mark": {"type": "text", "text": {"expr": "datum.t"}}},
    ],
)  # fmt: skip
def test_what_a_chart_cannot_hold_fails(spec: dict[str, Any]) -> None:
    said = complaint(spec, table(*BIG))
    assert "column t holds 9007199254740993, which has more digits than a chart can hold" in said
    assert "t::text" in said


def test_a_position_may_be_rounded() -> None:
    spec = {"mark": "bar", "encoding": {"x": {"field": "n"}, "y": {"field": "t",
                                        "type": "quantitative"}}}  # fmt: skip
    assert written(spec, table(*BIG))


TOTAL = {"aggregate": "sum", "field": "t"}
LABELLED = {"condition": {"test": "datum.n == 'n0'", "field": "t", "type": "quantitative"}}


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        (TOTAL, [Decimal("12345678901.23"), 2], "12345678903.23"),  # quantitative unless said
        ({**LABELLED, "value": ""}, [Decimal("12345678901.23"), 2], "12345678901.23"),
        ({"aggregate": "max", "field": "t"}, [123456789012345, 2], "123456789012345"),
    ],
    ids=["no type", "condition", "picked"],
)
def test_what_is_written_in_other_ways_has_every_digit(
    text: dict[str, Any], values: list[Any], shown: str
) -> None:
    assert shown in written({"mark": "text", "encoding": {"text": text}}, table(*values))


@pytest.mark.parametrize("word", ["max", "min", "median"])
def test_number_that_is_picked_of_many_fails_where_it_would_be_rounded(word: str) -> None:
    text = {"aggregate": word, "field": "t", "type": "quantitative"}
    said = complaint({"mark": "text", "encoding": {"text": text}}, table(12345678901234567, 1))
    assert "has more digits than a chart can hold" in said


def test_header_of_a_facet_has_every_digit() -> None:
    spec = {
        "mark": "bar",
        "encoding": {
            "row": {"field": "t", "type": "quantitative"},
            "x": {"field": "v", "type": "quantitative"},
        },
    }
    assert "12345678901.23" in written(spec, table(Decimal("12345678901.23")))
