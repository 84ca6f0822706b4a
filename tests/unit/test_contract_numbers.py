"""Exact numbers, rounded and written as PostgreSQL does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from jinja2 import TemplateRuntimeError

from report_runner.contract.numbers import (
    EXACT,
    divide,
    format_compact,
    format_number,
    places_of,
    short_places,
)
from report_runner.contract.templating import template_environment


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (9007199254740993, None, "9,007,199,254,740,993"),
        (123456789012345678, 0, "123,456,789,012,345,678"),
        (10**60 + 1, 0, f"{10**60 + 1:,}"),
        (Decimal("0.125"), 2, "0.13"),
        (2.5, 0, "3"),
        (3.5, 0, "4"),
        (1.005, 2, "1.01"),
        (Decimal("-0.004"), 2, "0.00"),
        (Decimal("0E-8"), None, "0.00000000"),
        (Decimal("-1234567.891"), 2, "−1,234,567.89"),
        (1e21, None, "1,000,000,000,000,000,000,000"),
        (0.1, None, "0.1"),
        (float("nan"), 2, "NaN"),
        (float("-inf"), 2, "−Infinity"),
        (Decimal("Infinity"), None, "Infinity"),
    ],
)
def test_format_number(value: Any, places: int | None, text: str) -> None:
    assert format_number(value, places) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999, "999"), (1000, "1.0k"), (999_949, "999.9k"), (999_950, "1.0M"), (999_999, "1.0M"),
        (Decimal("999.96"), "1.0k"), (-999_999, "−1.0M"), (12_345_678, "12.3M"),
        (999_999_999_999, "1.0T"), (Decimal("0.05"), "0.1"), (0, "0"), (float("inf"), "Infinity"),
    ],
)  # fmt: skip
def test_compact_rounds_into_the_next_unit(value: Any, text: str) -> None:
    assert format_compact(value) == text


def test_division_has_the_digits_of_numeric() -> None:
    # As `SELECT 1/3::numeric`, `SELECT 123456789/7::numeric`, `SELECT 0.5/70000` answer.
    assert str(divide(1, 3)) == "0.33333333333333333333"
    assert str(divide(123456789, 7)) == "17636684.142857142857"
    assert format(divide(Decimal("0.5"), 70000), "f") == "0.000007142857142857142857"


def test_values_that_differ_look_different() -> None:
    values = [Decimal("0.00000012"), Decimal("0.00000034")]
    shown = [format_number(value, places_of(values)) for value in values]
    assert shown == ["0.00000012", "0.00000034"]


def test_a_figure_that_stands_alone_is_short() -> None:
    value = Decimal("74.6923076923076923")
    assert format_number(value, short_places(value)) == "74.69"
    assert short_places(Decimal("0.0012345")) == 5
    assert short_places(12) == 0


def render(template: str, **context: Any) -> str:
    return template_environment().from_string(template).render(**context)


ROWS = [
    {"desk": "b", "amount": Decimal("0.1")},
    {"desk": None, "amount": None},
    {"desk": "a", "amount": 0.2},
    {"desk": "b", "amount": 3},
]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ rows | sum(attribute='amount') }}", "3.3"),
        ("{{ rows | map(attribute='amount') | max }}", "3"),
        ("{{ rows | map(attribute='amount') | min }}", "0.1"),
        ("{{ (rows | max(attribute='amount')).desk }}", "b"),
        ("{{ rows | sort(attribute='amount') | map(attribute='amount') | join(' ') }}",
         "0.1 0.2 3 –"),
        ("{{ rows | sort(reverse=true, attribute='amount') | map(attribute='desk') | join(' ') }}",
         "b a b –"),
        ("{% for desk, found in rows | groupby('desk') %}{{ desk }}{{ found | length }} "
         "{% endfor %}", "a1 b2 –1 "),
        ("{{ [] | sum }} {{ [] | max }} {{ [] | avg }}", "0 – –"),
        ("{{ 0.1 + 0.2 }} {{ 3 * 0.1 }} {{ 1 - 0.9 }}", "0.3 0.3 0.1"),
        ("{{ none + 1 }} {{ 2 * none }} {{ -(none) }}", "– – –"),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 70 }}", "3 3 1180591620717411303424"),
        ("{{ 0.125 | round(2) }} {{ 2.5 | round }} {{ none | round }}", "0.13 3 –"),
        ("{{ '%.2f' | format(9007199254740993) }}", "9007199254740993.00"),
        ("{{ '%05d|%-6.1f|%s' % (7, 2.25, 'x') }}", "00007|2.3   |x"),
        ("{{ '12.50' | float + 1 }} {{ none | int }} {{ 12.9 | int }}", "13.50 – 12"),
        ("{{ 'x' | float(0) }} {{ none | float(0) + 1 }}", "0 1"),
        ("{{ (-3.25) | abs }}", "3.25"),
    ],
)  # fmt: skip
def test_template_arithmetic(template: str, text: str) -> None:
    assert render(template, rows=ROWS) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ rows | sum(attribute='desk') }}", ["sum", "'desk'", "str", "cast"]),
        ("{{ rows | sum(attribute='amuont') }}", ["sum", "'amuont'", "no column"]),
        ("{{ rows | sort(attribute='nope') }}", ["sort", "'nope'"]),
        ("{{ ['a', 1] | max }}", ["max", "number and text", "cast"]),
        ("{{ 'abc' | float }}", ["float", "not a number"]),
        ("{{ '%d' | format('x') }}", ["format", "%d", "number"]),
        ("{{ '%s %s' | format(1) }}", ["format", "no value"]),
    ],
)
def test_what_cannot_be_computed_names_column_and_remedy(template: str, words: list[str]) -> None:
    with pytest.raises(TemplateRuntimeError) as caught:
        render(template, rows=ROWS)
    assert all(word in str(caught.value) for word in words)


def test_python_formatting_rounds_alike() -> None:
    from decimal import localcontext

    with localcontext(EXACT):
        assert render("{{ '{:,.2f}'.format(x) }}", x=Decimal("0.125")) == "0.13"
