"""Values as texts, order of dates that Python cannot hold, and what a chart gets of them."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset, order_of
from report_runner.contract.templating import template_environment
from report_runner.contract.values import plain_text
from report_runner.models import Table
from report_runner.render.chart_data import chart_values
from report_runner.render.tables import build_table

MADRID = ZoneInfo("Europe/Madrid")


def far(text: str, kind: MomentKind = MomentKind.DATE) -> FarMoment:
    return FarMoment(text, kind)


def as_session(text: str, hours: int) -> datetime:
    offset = SessionOffset(timedelta(hours=hours), MADRID)
    return datetime.fromisoformat(text).replace(tzinfo=offset)


TWICE = [as_session("2026-10-25 02:30:00", 2), as_session("2026-10-25 02:30:00", 1)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1E+5"), "100000"),
        (Decimal("-Infinity"), "-Infinity"),
        (True, "true"),
        (time(10, 11, 12, 500000), "10:11:12.5"),
        (datetime(2026, 1, 2, 3, 4, 5, 600, UTC), "2026-01-02 03:04:05.0006+00:00"),
        ({"a": [1, Decimal("1.50"), None, True]}, '{"a": [1, 1.50, null, true]}'),
    ],
)
def test_plain_text(value: Any, text: str) -> None:
    assert plain_text(value) == text


def test_dates_of_all_ages_have_one_order() -> None:
    ordered: list[Any] = [
        far("-infinity"), far("4713-01-01 BC"), far("0044-03-15 BC"), far("0001-12-31 BC"),
        date(1, 1, 1), date(2026, 2, 28), date(9999, 12, 31), far("10000-01-01"),
        far("20260-02-28"), far("infinity"),
    ]  # fmt: skip
    assert sorted(ordered, key=order_of) == ordered
    assert order_of(far("10000-01-01"))[1] - order_of(date(9999, 12, 31))[1] == 86_400_000_000
    template = template_environment().from_string("{{ v | sort | join(' ') }}|{{ v | max }}")
    assert template.render(v=[far("infinity"), date(2026, 1, 2), far("-infinity")]) == (
        "-infinity 2026-01-02 infinity|infinity"
    )


def test_what_a_template_prints() -> None:
    template = template_environment().from_string(
        "{{ a }} {{ a | string }} {{ a ~ '' }} {{ '%s' % a }} {{ b }} {{ (c | fromjson).x + 1 }}"
    )
    assert template.render(a=Decimal("1E-7"), b=TWICE[0], c='{"x": 0.1}') == (
        "0.0000001 0.0000001 0.0000001 0.0000001 2026-10-25 02:30:00+02:00 1.1"
    )


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([as_session("2026-11-25 02:30:00", 1)], ["2026-11-25 02:30"]),
        (TWICE, ["2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00"]),
        ([datetime(2026, 10, 25, 0, 30, tzinfo=UTC)], ["2026-10-25 02:30+02:00"]),
        ([as_session("2026-11-25 02:30:07.25", 1)], ["2026-11-25 02:30:07.25"]),
        # The database's zone data say another offset than the runner's.
        ([as_session("2026-11-25 02:30:00", 3)], ["2026-11-25 02:30+03:00"]),
        ([date(2026, 1, 2), far("0044-03-15 BC")], ["2026-01-02", "0044-03-15 BC"]),
        ([{"a": None}, ["x", 1]], ['{"a": null}', '["x", 1]']),
        ([Decimal("1E-60")], ["0." + "0" * 59 + "1"]),
    ],
)
def test_a_column_loses_nothing(values: list[Any], shown: list[str]) -> None:
    (made,) = build_table(["v"], [(value,) for value in values], zone=MADRID, available=1e6)
    assert [html.unescape(re.sub(r"<[^>]+>", "", row)) for row in made.rows] == shown


def chart_of(values: list[Any], **field: Any) -> list[Any]:
    spec = {"mark": "bar", "encoding": {"x": {"field": "v", **field}}}
    return [row["v"] for row in chart_values(Table(("v",), [(v,) for v in values]), spec, MADRID)]


def test_dates_are_no_instants_in_charts() -> None:
    assert chart_of([date(2026, 1, 2)], type="temporal") == ["2026-01-02"]
    assert chart_of(TWICE, type="ordinal") == [
        "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00",
    ]  # fmt: skip
    assert len(chart_of(TWICE, type="temporal", timeUnit="yearmonthdate")) == 2


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ([far("infinity")], {"type": "temporal"}, "column v holds infinity"),
        ([Decimal("NaN")], {"type": "quantitative"}, "column v holds NaN"),
        (TWICE, {"type": "temporal"}, "before and after a clock change"),
    ],
)
def test_what_has_no_place_in_a_chart_is_told(
    values: list[Any], field: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        chart_of(values, **field)
