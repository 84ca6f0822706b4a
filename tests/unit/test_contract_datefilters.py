"""Dates of a report: periods and business days, against dates worked out another way."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateRuntimeError, UndefinedError

from report_runner.contract.days_off import DaysOff
from report_runner.contract.moments import FarMoment, MomentKind
from report_runner.contract.templating import template_environment

DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))


def value(expression: str, **names: Any) -> Any:
    found: list[Any] = []
    environment = template_environment()
    environment.filters["kept"] = lambda each: found.append(each)
    environment.from_string("{{ (" + expression + ") | kept }}").render(**names)
    return found[0]


@pytest.mark.parametrize(
    ("day", "name", "expected"),
    [
        ("2026-11-24", "month_start", "2026-11-01"),
        ("2026-11-24", "month_end", "2026-11-30"),
        ("2028-02-10", "month_end", "2028-02-29"),
        ("2026-11-24", "quarter_start", "2026-10-01"),
        ("2026-11-24", "quarter_end", "2026-12-31"),
        ("2026-03-31", "quarter_end", "2026-03-31"),
        ("2026-11-24", "year_start", "2026-01-01"),
        ("2026-11-24", "year_end", "2026-12-31"),
        ("2026-11-24", "week_start", "2026-11-23"),
        ("2026-11-24", "week_end", "2026-11-29"),
        ("2027-01-01", "week_start", "2026-12-28"),
        ("2026-01-31", "add_months(1)", "2026-02-28"),
        ("2026-03-31", "add_months(-1)", "2026-02-28"),
        ("2026-01-31", "add_months(-13)", "2024-12-31"),
        ("2026-12-31", "add_days(1)", "2027-01-01"),
        ("2026-11-27", "next_business_day", "2026-11-30"),
        ("2026-11-30", "previous_business_day", "2026-11-27"),
        ("2026-11-28", "on_or_after_business_day", "2026-11-30"),
        ("2026-11-28", "on_or_before_business_day", "2026-11-27"),
        ("2026-11-27", "on_or_before_business_day", "2026-11-27"),
        ("2026-11-27", "add_business_days(3)", "2026-12-02"),
        ("2026-12-02", "add_business_days(-3)", "2026-11-27"),
        ("2026-11-28", "add_business_days(0)", "2026-11-28"),
        ("2026-11-01", "month_start | add_days(-1) | on_or_before_business_day", "2026-10-30"),
    ],
)
def test_a_date_stays_a_date(day: str, name: str, expected: str) -> None:
    for given_day in (date.fromisoformat(day), day, datetime.fromisoformat(f"{day}T23:59:00")):
        found = value(f"day | {name}", day=given_day)
        assert type(found) is date
        assert found.isoformat() == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("day | quarter", 4),
        ("day | iso_week", 53),
        ("day | iso_year", 2026),
        ("day | business_day", True),
        ("nothing | month_end | add_days(1)", None),
        ("nothing | next_business_day", None),
    ],
)
def test_other_values(expression: str, expected: object) -> None:
    assert value(expression, day=date(2026, 12, 31), nothing=None) == expected


def test_holidays_are_no_business_days() -> None:
    names = {"day": date(2026, 12, 24), "holidays": frozenset({date(2026, 12, 25)})}
    assert value("day | next_business_day", **names) == date(2026, 12, 28)
    assert value("[day] | map('add_business_days', 2) | first", **names) == date(2026, 12, 29)
    always = frozenset(date(2026, 1, 1) + timedelta(n) for n in range(800))
    with pytest.raises(TemplateRuntimeError, match="no business day within a year"):
        value("day | next_business_day", day=date(2026, 12, 24), holidays=always)


def test_days_of_a_calendar_are_asked_one_by_one() -> None:
    names = {"day": date(2026, 12, 24), "holidays": DaysOff(country="DE", subdivision="BY")}
    assert value("day | next_business_day", **names) == date(2026, 12, 28)
    assert value("day in holidays", **names) is False
    assert value("day | add_days(1) in holidays", **names) is True
    assert value("'2026-11-28' | as_date in holidays", **names) is False  # a Saturday
    with pytest.raises(TypeError, match="have no end"):
        value("holidays | list", **names)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("'soon' | month_end", "filter month_end: a str that is not a date"),
        ("5 | month_end", "filter month_end: a int that is not a date"),
        ("far | month_end", "filter month_end: infinity that is not a date"),
        ("'2026-01-01' | add_days('1')", "filter add_days: takes a whole number"),
        ("'2026-01-01' | add_months(1.5)", "filter add_months: takes a whole number"),
        ("'2026-01-01' | add_days(10 ** 12)", "filter add_days: leads out of the years"),
        ("'2026-01-01' | add_months(10 ** 12)", "filter add_months: leads out of the years"),
        ("'9999-12-31' | week_end", "filter week_end: leads out of the years"),
        ("'2026-01-01' | add_business_days(10 ** 9)", "at most 10,000"),
    ],
)
def test_what_is_no_date_is_an_error(expression: str, told: str) -> None:
    with pytest.raises(TemplateRuntimeError, match=told):
        value(expression, far=FarMoment("infinity", MomentKind.DATE))


def test_an_undefined_date_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="report_dat"):
        value("report_dat | month_end")


@given(DAYS)
def test_periods_hold_their_day(day: date) -> None:
    for period, days in (("week", (7,)), ("month", (28, 29, 30, 31)), ("quarter", (90, 91, 92))):
        start = value(f"day | {period}_start", day=day)
        end = value(f"day | {period}_end", day=day)
        assert start <= day <= end
        assert (end - start).days + 1 in days
        assert value(f"day | {period}_start", day=start - timedelta(1)) < start
        assert value(f"day | {period}_start", day=end + timedelta(1)) == end + timedelta(1)


@given(DAYS, st.integers(-500, 500))
def test_months_and_business_days_are_those_of_the_calendar(day: date, count: int) -> None:
    later = value(f"day | add_months({count})", day=day)
    assert (later.year - day.year) * 12 + later.month - day.month == count
    assert later.day in (day.day, calendar.monthrange(later.year, later.month)[1])
    moved = value(f"day | add_business_days({count})", day=day)
    low, high = sorted((day, moved))
    between = [low + timedelta(n) for n in range((high - low).days + 1)]
    business = [each for each in between if each.weekday() < 5 and each != day]
    assert len(business) == abs(count)
