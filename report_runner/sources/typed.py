"""Records from files and answers as a table: every value kept, or an error that names its place.

No message holds a value: what a source answers is data of the report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.freeform import CHART_LEVELS, bounds_problem
from report_runner.contract.moments import SessionOffset
from report_runner.contract.numbers import MAX_DIGITS
from report_runner.contract.tabular import ColumnKind, DeclaredColumn
from report_runner.contract.values import json_text, plain_text
from report_runner.contract.words import listed
from report_runner.models import ColumnType, Table

COLUMNS_LIMIT = 2000
_LONGEST_NAME = 253
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]+))?"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?",
    re.ASCII | re.IGNORECASE,
)
_INT8 = range(-(1 << 63), 1 << 63)
_TYPES = {
    ColumnKind.TEXT: "text",
    ColumnKind.NUMERIC: "numeric",
    ColumnKind.BOOLEAN: "bool",
    ColumnKind.DATE: "date",
}

Record = dict[str, Any]


class ShapeError(ValueError):
    """What came is not what was expected; the message tells of types and places alone."""


def type_name(value: Any) -> str:
    """The JSON type of a value, with its article."""
    if value is None:
        return "null"
    for types, name in (
        (bool, "a boolean"),
        ((int, float, Decimal), "a number"),
        (str, "a text"),
        (dict, "an object"),
        (list, "an array"),
    ):
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


def make_table(records: Sequence[Record], declared: Sequence[DeclaredColumn], zone: str) -> Table:
    """Declared columns first, then the others in the order in which rows name them.

    A row without a key has NULL there. Raises ShapeError: for a declared column that no row has,
    and for a value that is not of its column's type.
    """
    columns = tuple(dict.fromkeys([column.name for column in declared]))
    found = dict.fromkeys(name for record in records for name in record)
    missing = [name for name in columns if name not in found]
    if records and missing:
        raise ShapeError(
            f"no row has the column {listed(missing)} that columns names; there is "
            f"{listed([name for name in found if isinstance(name, str)])}"
        )
    columns = tuple(dict.fromkeys([*columns, *found]))
    if len(columns) > COLUMNS_LIMIT:
        raise ShapeError(f"the rows have more than {COLUMNS_LIMIT} columns")
    for name in columns:
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ShapeError(
                f"a column's name is empty, has more than {_LONGEST_NAME} characters, or some "
                "that cannot be printed"
            )
    convert = _converters(declared, ZoneInfo(zone))
    rows = [
        tuple(_cell(record.get(name), convert.get(name), name, number) for name in columns)
        for number, record in enumerate(records, 1)
    ]
    return Table(columns, rows, _column_types(columns, rows, declared))


def declare(table: Table, declared: Sequence[DeclaredColumn], zone: str) -> Table:
    """A table whose source knows its types, with the declared columns first and of their types.

    Raises ShapeError, as `make_table` does.
    """
    missing = [column.name for column in declared if column.name not in table.columns]
    if missing:
        raise ShapeError(
            f"there is no column {listed(missing)} that columns names; there is "
            f"{listed(table.columns)}"
        )
    columns = tuple(dict.fromkeys([*(column.name for column in declared), *table.columns]))
    order = [table.columns.index(name) for name in columns]
    convert = _converters(declared, ZoneInfo(zone))
    rows = [
        tuple(
            _cell(row[place], convert.get(name), name, number)
            for name, place in zip(columns, order, strict=True)
        )
        for number, row in enumerate(table.rows, 1)
    ]
    kinds = {column.name: column.type for column in declared}
    types = tuple(
        ColumnType(_type_of(kinds[name], (row[number] for row in rows)))
        if name in kinds
        else table.types[order[number]]
        for number, name in enumerate(columns)
    )
    return Table(columns, rows, types)


def _converters(
    declared: Sequence[DeclaredColumn], zone: ZoneInfo
) -> dict[str, Callable[[Any], Any]]:
    def moment(value: Any) -> datetime:
        return _moment(value, zone)

    readers: dict[ColumnKind, Callable[[Any], Any]] = {
        ColumnKind.TEXT: _text,
        ColumnKind.INTEGER: _integer,
        ColumnKind.NUMERIC: _numeric,
        ColumnKind.BOOLEAN: _boolean,
        ColumnKind.DATE: _day,
        ColumnKind.TIMESTAMP: moment,
    }
    return {column.name: readers[column.type] for column in declared}


def _cell(value: Any, convert: Callable[[Any], Any] | None, column: str, row: int) -> Any:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            if not value.isascii():
                value.encode()  # a half of a surrogate pair is no text
        elif isinstance(value, dict | list):
            _check_nested(value)
        if convert is not None:
            return convert(value)
    except UnicodeEncodeError:
        raise ShapeError(f"row {row}, column {column}: a text that is not Unicode") from None
    except ShapeError as error:
        raise ShapeError(f"row {row}, column {column}: {error}") from None
    return value


def _check_nested(value: Any) -> None:
    problem = bounds_problem(value, CHART_LEVELS, None)
    if problem is not None:
        raise ShapeError(problem[1])
    json_text(value).encode()


def _text(value: Any) -> str:
    return plain_text(value)


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= MAX_DIGITS:
        return int(value)
    raise ShapeError(f"expected an integer, found {_found(value)}")


def _numeric(value: Any) -> Decimal | int:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return exact_decimal(value)
    raise ShapeError(f"expected a number such as 1234.56, found {_found(value)}")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ShapeError(f"expected true or false, found {_found(value)}")


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ShapeError("expected a date YYYY-MM-DD, found no day of the calendar") from None
    raise ShapeError(f"expected a date YYYY-MM-DD, found {_found(value)}")


def _moment(value: Any, zone: ZoneInfo) -> datetime:
    """A time with an offset comes out in `zone`, as a session of PostgreSQL in it would have it."""
    if isinstance(value, datetime):
        return in_zone(value, zone)
    expected = "expected a timestamp such as 2026-01-05T06:00:00Z"
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ShapeError(f"{expected}, found {_found(value)}")
    day, clock, fraction, offset = match.groups()
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > 6:
        raise ShapeError("a timestamp has more than six decimals of a second; declare it as text")
    text = f"{day}T{clock}" + (f".{fraction}" if fraction and clock.count(":") == 2 else "")
    if fraction and clock.count(":") < 2:
        raise ShapeError(f"{expected}, found another text")
    try:
        return in_zone(datetime.fromisoformat(text + (offset or "").upper()), zone)
    except (ValueError, OverflowError):
        raise ShapeError(f"{expected}, found no time of the calendar") from None


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """An aware time in `zone`; a naive one as it is."""
    if moment.tzinfo is None:
        return moment
    local = moment.astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None  # noqa: S101 - it is aware
    return local.replace(tzinfo=SessionOffset(offset, zone))


def _found(value: Any) -> str:
    return "another text" if isinstance(value, str) and value else (
        "an empty text" if value == "" else type_name(value)
    )  # fmt: skip


def exact_decimal(text: str) -> Decimal:
    """A number with every digit. Raises ShapeError where it has too many of them."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ShapeError("a number that cannot be read") from None
    if not number.is_finite():
        raise ShapeError("a number that is not finite")
    digits = len(number.as_tuple().digits)
    if digits > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        raise ShapeError(f"a number of more than {MAX_DIGITS} digits")
    return number


def exact_integer(text: str) -> int:
    """As `exact_decimal`, of a number without a point."""
    if len(text) > MAX_DIGITS:
        raise ShapeError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _column_types(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], declared: Sequence[DeclaredColumn]
) -> tuple[ColumnType, ...]:
    """Names of PostgreSQL's types; nothing where no column is declared, and values tell it."""
    if not declared:
        return ()
    kinds = {column.name: column.type for column in declared}
    return tuple(
        ColumnType(_type_of(kinds.get(name), (row[number] for row in rows)))
        for number, name in enumerate(columns)
    )


def _type_of(kind: ColumnKind | None, values: Iterable[Any]) -> str:
    present = (value for value in values if value is not None)
    if kind is ColumnKind.INTEGER:
        return "int8" if all(value in _INT8 for value in present) else "numeric"
    if kind is ColumnKind.TIMESTAMP:
        return _moment_type(present)
    if kind is not None:
        return _TYPES[kind]
    found = list(present)
    types = {type(value) for value in found}
    if types == {bool}:
        return "bool"
    if types == {int} and all(value in _INT8 for value in found):
        return "int8"
    if types and types <= {int, Decimal}:
        return "numeric"
    if types == {date}:
        return "date"
    if types == {time}:
        return "time"
    if types == {datetime}:
        return _moment_type(iter(found))
    return "text"


def _moment_type(values: Iterator[datetime]) -> str:
    aware = {value.tzinfo is not None for value in values}
    if len(aware) == 2:
        raise ShapeError(
            "a column of timestamps has some with an offset and some without: declare it as text"
        )
    return "timestamptz" if aware == {True} else "timestamp"
