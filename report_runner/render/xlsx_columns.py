"""How each column of a source is written into a workbook.

A spreadsheet's number has 15 digits, its days begin in 1900 and its clock stops at milliseconds. A
column with a value beyond that is text as a whole, and a note says so: of a column of which some
numbers are text, a spreadsheet would make a wrong sum without a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import in_zone, is_ambiguous
from report_runner.contract.numbers import Number, as_decimal, scale
from report_runner.contract.values import plain_text
from report_runner.models import Table
from report_runner.render.datacolumns import DataKind, column_kind, place_error, present
from report_runner.render.tables import is_code

DIGITS = 15
TEXT_LIMIT = 32_767  # UTF-16 units of one cell
WIDEST = 60  # characters of a column's width
# Day 60 of Excel is 29 February 1900, which never was: before it programs disagree.
FIRST_DAY = date(1900, 3, 1)
_DAY_ZERO = date(1899, 12, 30).toordinal()
_DAY_MILLISECONDS = 86_400_000
_LARGEST = Decimal("9.99999999999999E+307")
_SMALLEST = Decimal("2.3E-308")
_SHOWN_PLACES = 30  # decimals of a number format
_SHOWN_DIGITS = 21  # whole digits that are shown without an exponent
_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column of a sheet: what its cells are, how they are shown, and what there is to say."""

    name: str
    kind: DataKind
    number_format: str = ""
    width: int = 8
    note: str = ""


def sheet_column(
    source: str, table: Table, number: int, wanted: str, zone: ZoneInfo
) -> SheetColumn | None:
    """How to write a column; `wanted` is its entry in columnFormats, or ''.

    None where its values cannot be shown so. Raises RunError(ConfigurationError) for a value that
    no cell can hold.
    """
    name = table.columns[number]
    kind = column_kind(table, number)
    form, _, places = wanted.partition(":")
    nothing = next(present(table, number), None) is None
    if form in ("plain", "integer", "decimals", "percent") and not (kind.numeric or nothing):
        return None
    if form in ("date", "datetime") and not (kind.moment or nothing):
        return None
    note = "" if form == "text" else _problem(table, number, kind, zone)
    if note or form == "text" or kind is DataKind.TEXT:
        width = _check_texts(source, table, number, zone)
        return SheetColumn(name, DataKind.TEXT, "@" if kind is not DataKind.TEXT else "",
                           _width(name, width), note)  # fmt: skip
    column = SheetColumn(name, kind)
    if kind.numeric:
        return _number_column(column, table, number, form, int(places) if places else None)
    if kind is DataKind.BOOLEAN:
        return replace(column, width=_width(name, 6))
    return _moment_column(column, table, number, form, zone)


def _problem(table: Table, number: int, kind: DataKind, zone: ZoneInfo) -> str:
    """Why the column has to be text; '' where it need not be."""
    check = _CHECKS.get(kind)
    if check is None:
        return ""
    for row, value in present(table, number):
        problem = check(value, zone)
        if problem:
            return f"kept as text: row {row} has {problem}"
    return ""


def _number_problem(value: Number, _zone: ZoneInfo, digits: int | None = DIGITS) -> str:
    found = as_decimal(value)
    if not found.is_finite():
        return "NaN or an infinity"
    if digits is not None and _significant(found) > digits:
        return f"a number of more than {digits} digits"
    if found and not _SMALLEST < abs(found) <= _LARGEST:
        return "a number that is too large or too small for a spreadsheet"
    return ""


def _significant(value: Decimal) -> int:
    return len("".join(map(str, value.as_tuple().digits)).strip("0"))


def _float_problem(value: Number, zone: ZoneInfo) -> str:
    # The spreadsheet's number is the same double.
    return _number_problem(value, zone, None)


def _day_problem(value: Any, _zone: ZoneInfo) -> str:
    if not isinstance(value, date):
        return "a day that no calendar of a spreadsheet has"
    day = value.date() if isinstance(value, datetime) else value
    return "" if day >= FIRST_DAY else f"a day before {FIRST_DAY}"


def _time_problem(value: Any, _zone: ZoneInfo) -> str:
    if not isinstance(value, time):
        return "the time 24:00"
    return "a time with more than milliseconds" if value.microsecond % 1000 else ""


def _timestamp_problem(value: Any, zone: ZoneInfo) -> str:
    shown = in_zone(value, zone) if isinstance(value, datetime) else value
    problem = _day_problem(shown, zone)
    if problem:
        return problem
    if shown.microsecond % 1000:
        return "a time with more than milliseconds"
    if shown.tzinfo is not None and is_ambiguous(shown):
        return "a time in an hour that a clock repeats"
    return ""


_CHECKS: dict[DataKind, Callable[[Any, ZoneInfo], str]] = {
    DataKind.INTEGER: _number_problem,
    DataKind.DECIMAL: _number_problem,
    DataKind.FLOAT: _float_problem,
    DataKind.DATE: _day_problem,
    DataKind.TIME: _time_problem,
    DataKind.TIMESTAMP: _timestamp_problem,
    DataKind.ZONED: _timestamp_problem,
}


def _number_column(
    column: SheetColumn, table: Table, number: int, form: str, places: int | None
) -> SheetColumn:
    values = [as_decimal(value) for _, value in present(table, number)]
    own = max(map(scale, values), default=0)
    whole = max((value.adjusted() + 1 for value in values if value), default=1)
    shown = 0 if form == "integer" else own if places is None else places
    if form == "percent":
        shown = max(own - 2, 0) if places is None else places
    if own > _SHOWN_PLACES or whole > _SHOWN_DIGITS:
        return replace(column, number_format="General", width=_width(column.name, 24))
    plain = form == "plain" or (
        not form and column.kind is DataKind.INTEGER and is_code(column.name)
    )
    number_format = ("0" if plain or form == "percent" else "#,##0") + (
        "." + "0" * shown if shown else ""
    )
    digits = max(whole, 1) * 4 // 3 + shown + 4
    return replace(
        column,
        number_format=number_format + "%" * (form == "percent"),
        width=_width(column.name, digits),
    )


def _moment_column(
    column: SheetColumn, table: Table, number: int, form: str, zone: ZoneInfo
) -> SheetColumn:
    if column.kind is DataKind.DATE or form == "date":
        clock = " hh:mm:ss" if form == "datetime" else ""
        shown = f"yyyy-mm-dd{clock}"
    else:
        fraction = any(value.microsecond for _, value in present(table, number))
        day = "" if column.kind is DataKind.TIME else "yyyy-mm-dd "
        shown = f"{day}hh:mm:ss" + (".000" if fraction else "")
    note = f"times are those of {zone.key}" if column.kind is DataKind.ZONED else ""
    return replace(
        column, number_format=shown, width=_width(column.name, len(shown) + 2), note=note
    )


def _check_texts(source: str, table: Table, number: int, zone: ZoneInfo) -> int:
    """The length of the longest line. Raises RunError(ConfigurationError)."""
    longest = 0
    for row, value in present(table, number):
        text = cell_text(value, zone)
        check_text(source, table.columns[number], row, text)
        longest = max(longest, len(text) if len(text) <= WIDEST else WIDEST)
    return longest


def check_text(source: str, column: str, row: int | None, text: str) -> None:
    """Whether a cell can hold it. Raises RunError(ConfigurationError)."""
    remedy = "in the query, or take xlsx out of spec.report.formats"
    if (
        len(text) > TEXT_LIMIT // 2
        and len(text.encode("utf-16-le", "surrogatepass")) > 2 * TEXT_LIMIT
    ):
        raise place_error(
            source, column, row,
            f"the text is longer than the {TEXT_LIMIT:,} characters of a cell; shorten it {remedy}",
        )  # fmt: skip
    if _NOT_XML.search(text):
        raise place_error(
            source, column, row,
            f"the text has a character that a workbook cannot hold; replace it {remedy}",
        )  # fmt: skip


def serial(value: date | time, zone: ZoneInfo) -> int | float:
    """A day or time as a spreadsheet counts it: days since 1899-12-30, by the zone's clock.

    Never below the exact quotient: LibreOffice cuts what is not shown, and 22:04:08 would be
    22:04:07.
    """
    if isinstance(value, time):
        return _days(0, value)
    wall = in_zone(value, zone) if isinstance(value, datetime) else value
    days = wall.toordinal() - _DAY_ZERO
    return _days(days, wall.time()) if isinstance(wall, datetime) else days


def _days(days: int, clock: time) -> float:
    seconds = days * 86_400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    milliseconds = seconds * 1000 + clock.microsecond // 1000
    found = milliseconds / _DAY_MILLISECONDS
    numerator, denominator = found.as_integer_ratio()
    below = numerator * _DAY_MILLISECONDS < milliseconds * denominator
    return math.nextafter(found, math.inf) if below else found


def cell_text(value: Any, zone: ZoneInfo) -> str:
    """A value as text: as PostgreSQL writes it."""
    return plain_text(in_zone(value, zone) if isinstance(value, datetime) else value)


def _width(name: str, needed: int) -> int:
    return min(max(needed + 1, len(name) + 4, 8), WIDEST)
