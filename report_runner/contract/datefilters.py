"""Filters from a date to a date: starts and ends of periods, days, months, business days.

A date, a time (its own day) and an ISO text are taken; NULL stays NULL. A business day is one that
the template's `holidays` (the days of spec.calendar) do not leave out, nor the calendar's weekend;
without a calendar it is one from Monday to Friday.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Container
from datetime import date, datetime, timedelta
from functools import wraps
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined, pass_context
from jinja2.runtime import Context

from report_runner.contract.days_off import DaysOff
from report_runner.contract.moments import FarMoment

Holidays = Container[date] | DaysOff
HOLIDAYS = "holidays"  # the name in a template's context: dates that are no business days
_WEEKEND = 5  # Saturday and Sunday are 5 and 6
_SEARCH_LIMIT = 366  # days without a business day among them


def day_of(value: Any, name: str) -> date:
    """Raises TemplateRuntimeError for what is no date."""
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined says which name it is
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str) and not isinstance(value, FarMoment):
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            pass
    what = f"{value}" if isinstance(value, FarMoment) else f"a {type(value).__name__}"
    raise TemplateRuntimeError(f"filter {name}: {what} that is not a date (write YYYY-MM-DD)")


def _number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TemplateRuntimeError(f"filter {name}: takes a whole number, as in | {name}(-1)")
    return value


def _dated(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The filter of a function whose first argument is a date."""
    name = compute.__name__

    @wraps(compute)
    def filter_(value: Any, *given: Any) -> Any:
        if value is None:
            return None
        try:
            return compute(day_of(value, name), *given)
        except (OverflowError, ValueError):
            raise TemplateRuntimeError(f"filter {name}: leads out of the years 1 to 9999") from None

    return filter_


@_dated
def as_date(day: date) -> date:
    """`"2026-11-24"` → the date."""
    return day


@_dated
def week_start(day: date) -> date:
    """The Monday."""
    return day - timedelta(day.weekday())


@_dated
def week_end(day: date) -> date:
    """The Sunday."""
    return day + timedelta(6 - day.weekday())


@_dated
def iso_week(day: date) -> int:
    """The number of the ISO week, from 1 to 53."""
    return day.isocalendar().week


@_dated
def iso_year(day: date) -> int:
    """The year that the ISO week belongs to: 2026 for 1 January 2027."""
    return day.isocalendar().year


@_dated
def month_start(day: date) -> date:
    return day.replace(day=1)


@_dated
def month_end(day: date) -> date:
    return _end_of_month(day.year, day.month)


@_dated
def quarter(day: date) -> int:
    """From 1 to 4."""
    return (day.month + 2) // 3


@_dated
def quarter_start(day: date) -> date:
    return date(day.year, day.month - (day.month - 1) % 3, 1)


@_dated
def quarter_end(day: date) -> date:
    return _end_of_month(day.year, day.month + 2 - (day.month - 1) % 3)


@_dated
def year_start(day: date) -> date:
    return date(day.year, 1, 1)


@_dated
def year_end(day: date) -> date:
    return date(day.year, 12, 31)


@_dated
def add_days(day: date, days: Any = 1) -> date:
    return day + timedelta(_number(days, "add_days"))


@_dated
def add_months(day: date, months: Any = 1) -> date:
    """A day that the month does not have becomes its last one, as in PostgreSQL."""
    month = day.year * 12 + day.month - 1 + _number(months, "add_months")
    end = _end_of_month(month // 12, month % 12 + 1)
    return end.replace(day=min(day.day, end.day))


def _end_of_month(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def is_business_day(day: date, holidays: Holidays = frozenset()) -> bool:
    if isinstance(holidays, DaysOff):
        return holidays.is_business_day(day)
    return day.weekday() < _WEEKEND and day not in holidays


def nearest_business_day(day: date, step: int, holidays: Holidays = frozenset()) -> date:
    """The day itself, else the next one (`step` 1) or the previous one (-1). Raises ValueError."""
    for _ in range(_SEARCH_LIMIT):
        if is_business_day(day, holidays):
            return day
        day += timedelta(step)
    raise ValueError("no business day within a year")


def _in_context(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The filter of a function of a date and the holidays."""
    name = compute.__name__

    @pass_context
    @wraps(compute)
    def filter_(context: Context, value: Any, *given: Any) -> Any:
        if value is None:
            return None
        holidays = context.get(HOLIDAYS) or frozenset()
        try:
            return compute(day_of(value, name), holidays, *given)
        except (OverflowError, ValueError) as error:
            raise TemplateRuntimeError(f"filter {name}: {error}") from None

    return filter_


@_in_context
def business_day(day: date, holidays: Holidays) -> bool:
    """Whether it is one."""
    return is_business_day(day, holidays)


@_in_context
def next_business_day(day: date, holidays: Holidays) -> date:
    """The first one after the date."""
    return nearest_business_day(day + timedelta(1), 1, holidays)


@_in_context
def previous_business_day(day: date, holidays: Holidays) -> date:
    """The last one before the date."""
    return nearest_business_day(day - timedelta(1), -1, holidays)


@_in_context
def on_or_after_business_day(day: date, holidays: Holidays) -> date:
    """The date itself where it is one, else the next."""
    return nearest_business_day(day, 1, holidays)


@_in_context
def on_or_before_business_day(day: date, holidays: Holidays) -> date:
    """The date itself where it is one, else the previous."""
    return nearest_business_day(day, -1, holidays)


@_in_context
def add_business_days(day: date, holidays: Holidays, days: Any = 1) -> date:
    """So many business days later, or earlier with a negative number; 0 is the date itself."""
    count = _number(days, "add_business_days")
    if abs(count) > 10_000:
        raise ValueError("takes at most 10,000 days")
    step = 1 if count > 0 else -1
    for _ in range(abs(count)):
        day = nearest_business_day(day + timedelta(step), step, holidays)
    return day


DATE_FILTERS: dict[str, Callable[..., Any]] = {
    filter_.__name__: filter_
    for filter_ in (
        as_date, week_start, week_end, iso_week, iso_year, month_start, month_end, quarter,
        quarter_start, quarter_end, year_start, year_end, add_days, add_months, business_day,
        next_business_day, previous_business_day, on_or_after_business_day,
        on_or_before_business_day, add_business_days,
    )
}  # fmt: skip
