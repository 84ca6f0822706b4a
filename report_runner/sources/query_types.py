"""Values on their way into DuckDB and out of it, exactly; what it cannot hold is refused.

All but whole numbers and booleans go as texts, which DuckDB casts: no number passes a float. What
comes out is as PostgreSQL would write it, so that every format treats it alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from report_runner.contract.moments import (
    FULL,
    FarMoment,
    MomentKind,
    SessionOffset,
    parse_offset,
)
from report_runner.contract.numbers import as_decimal, scale
from report_runner.contract.values import json_text, plain_text
from report_runner.models import ColumnType, Table
from report_runner.render.datacolumns import DataKind, column_kind, place_error, present

DIGITS = 38  # of DuckDB's DECIMAL
# Digits before the point that a column has at least. Not all 38: where two columns meet (UNION,
# CASE, coalesce), DuckDB makes room for them by rounding what is behind the point.
_WHOLE_DIGITS = 18
_LARGEST = 2**127 - 1  # of its HUGEINT
_WHOLE = {"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT"}
_BEFORE_CHRIST = re.compile(r"(\d+-\d\d-\d\d)(.*) BC", re.ASCII)
_FAR = re.compile(r"(\d+-\d\d-\d\d) \(BC\)(.*)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?::\d\d){0,2})?", re.ASCII
)
_INTERVAL = re.compile(
    r"(?:(-?\d+) years? ?)?(?:(-?\d+) months? ?)?(?:(-?\d+) days? ?)?"
    r"(?:(-)?(\d+:\d\d:\d\d(?:\.\d+)?))?",
    re.ASCII,
)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ingoing:
    """A column of a table in DuckDB, and what makes its values of those of the source."""

    name: str
    type: str
    convert: Callable[[Any], Any]


def ingoing(source: str, table: Table, number: int) -> Ingoing:
    """The type of a column. Raises RunError(ConfigurationError) for a value that has none."""
    name = table.columns[number]
    declared = table.types[number] if table.types else ColumnType("")
    match column_kind(table, number):
        case DataKind.BOOLEAN:
            return Ingoing(name, "BOOLEAN", bool)
        case DataKind.INTEGER if declared.name:
            return Ingoing(name, _WHOLE[declared.name], int)
        case DataKind.INTEGER:
            return Ingoing(name, _whole_type(source, table, number), int)
        case DataKind.DECIMAL:
            return Ingoing(name, _decimal_type(source, table, number, declared), plain_text)
        case DataKind.FLOAT:
            return Ingoing(name, "FLOAT" if declared.name == "float4" else "DOUBLE", plain_text)
        case DataKind.DATE:
            return Ingoing(name, "DATE", _moment_text)
        case DataKind.TIME:
            return Ingoing(name, "TIME", plain_text)
        case DataKind.TIMESTAMP:
            return Ingoing(name, "TIMESTAMP", _moment_text)
        case DataKind.ZONED:
            return Ingoing(name, "TIMESTAMPTZ", _moment_text)
        case DataKind.TEXT:
            return Ingoing(name, "VARCHAR", plain_text)


def _whole_type(source: str, table: Table, number: int) -> str:
    large = False
    for row, value in present(table, number):
        large = large or not -(2**63) <= value < 2**63
        if abs(value) > _LARGEST:
            raise place_error(
                source,
                table.columns[number],
                row,
                "has more digits than DuckDB's HUGEINT; give it as a text, or leave the column out",
            )
    return "HUGEINT" if large else "BIGINT"


def _decimal_type(source: str, table: Table, number: int, declared: ColumnType) -> str:
    """That of the source, else as many decimals as the values have, and 18 digits before them."""
    name = table.columns[number]
    places = whole = 0
    for row, value in present(table, number):
        found = as_decimal(value)
        if not found.is_finite():
            raise place_error(
                source,
                name,
                row,
                f"{found} is no DECIMAL of DuckDB; write the column as {name}::float8 or "
                f"{name}::text in the query of that source",
            )
        places, whole = max(places, scale(found)), max(whole, found.adjusted() + 1 if found else 0)
    precision = min(max(whole, _WHOLE_DIGITS) + places, DIGITS)
    if declared.precision is not None and declared.scale is not None:
        places = max(declared.scale, 0)
        whole = max(declared.precision - declared.scale, 0)
        precision = max(whole + places, 1)
    if whole + places > DIGITS:
        raise place_error(
            source,
            name,
            None,
            f"the column needs {whole + places} digits, DuckDB's DECIMAL has {DIGITS}; round it in "
            f"the query of that source, as in round({name}, 10), or write {name}::text",
        )
    return f"DECIMAL({precision},{places})"


def _moment_text(value: Any) -> str:
    if isinstance(value, FarMoment):
        return _BEFORE_CHRIST.sub(r"\1 (BC)\2", str(value))
    return FULL.text(value)


def bound_value(value: Any) -> Any:
    """A parameter as DuckDB takes it: objects as the text of their JSON.

    Raises ValueError for what it would take for something else.
    """
    if isinstance(value, Mapping):
        return json_text(value)
    if isinstance(value, list):
        present_values = [item for item in value if item is not None]
        if any(isinstance(item, Mapping) for item in present_values):
            return json_text(value)
        kinds = {Decimal if isinstance(item, int | Decimal) and not isinstance(item, bool)
                 else type(item) for item in present_values}  # fmt: skip
        if len(kinds) > 1:
            raise ValueError("is a list of several types; write all of its values as one type")
        return [bound_value(item) for item in value]
    if isinstance(value, Decimal):
        digits = max(value.adjusted() + 1, 0) + scale(value) if value.is_finite() else DIGITS + 1
        if digits > DIGITS:
            raise ValueError(f"is no number of at most {DIGITS} digits; write it in quotes")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"is no number of at most {DIGITS} digits; write it in quotes")
    return value


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A column of a result: how it is selected, its type, and what makes a value of its text."""

    select: str
    type: ColumnType
    convert: Callable[[Any], Any]


def outgoing(column: str, type_: str, zone: ZoneInfo) -> Outgoing:
    """`column` is an identifier. Raises ValueError with the remedy for a type that is refused."""
    text = f"{column}::VARCHAR"
    decimal = _DECIMAL.fullmatch(type_)
    if decimal is not None:
        kind = ColumnType("numeric", int(decimal[1]), int(decimal[2]))
        return Outgoing(text, kind, Decimal)
    if type_.startswith("ENUM("):
        return Outgoing(text, ColumnType("text"), str)
    if type_ in _PLAIN:
        return Outgoing(column, ColumnType(_PLAIN[type_]), _same)
    if type_ in _TEXTS:
        kind_name, convert = _TEXTS[type_]
        return Outgoing(text, ColumnType(kind_name), convert)
    match type_:
        case "HUGEINT" | "UBIGINT":
            return Outgoing(text, ColumnType("numeric", DIGITS, 0), _huge)
        case "TIMESTAMP WITH TIME ZONE":
            return Outgoing(text, ColumnType("timestamptz"), _zoned(zone))
        case "BLOB":
            return Outgoing(f"'\\x' || lower(hex({column}))", ColumnType("bytea"), str)
    raise ValueError(f"is of type {type_[:60]}, which no report holds; {_remedy(type_)}")


def _remedy(type_: str) -> str:
    if type_.endswith("_NS"):
        return f"cast it with ::{type_.removesuffix('_NS')}, which has microseconds"
    if type_ == "UHUGEINT":
        return "cast it with ::HUGEINT"
    return "write to_json(...) of it, or unnest it"


def _same(value: Any) -> Any:
    return value


def _huge(text: str) -> Decimal:
    number = Decimal(text)
    if number.adjusted() >= DIGITS:
        raise ValueError(f"is a number of more than {DIGITS} digits; cast it to VARCHAR")
    return number


def _date(text: str) -> date | FarMoment:
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    return FarMoment(_FAR.sub(r"\1\2 BC", text), MomentKind.DATE)


def _time(text: str) -> time | str:
    # A day's end has no place in Python.
    return text if text.startswith("24:") else time.fromisoformat(text)


def _timestamp(text: str) -> datetime | FarMoment:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return FarMoment(_FAR.sub(r"\1\2 BC", text), MomentKind.TIME)
    return datetime.fromisoformat(match[1])


def _zoned(zone: ZoneInfo) -> Callable[[str], datetime | FarMoment]:
    offsets: dict[str, SessionOffset] = {}

    def convert(text: str) -> datetime | FarMoment:
        match = _MOMENT.fullmatch(text)
        if match is None or match[2] is None:
            return FarMoment(_FAR.sub(r"\1\2 BC", text), MomentKind.ZONED)
        if match[2] not in offsets:
            offsets[match[2]] = SessionOffset(parse_offset(match[2]), zone)
        return datetime.fromisoformat(match[1]).replace(tzinfo=offsets[match[2]])

    return convert


def interval_text(text: str) -> str:
    """`-1 year 2 months -04:05:06` as PostgreSQL writes it: `-1 years +2 mons -04:05:06`."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"is an interval that cannot be read: {text[:60]}")
    parts: list[str] = []
    negative = False
    for digits, unit in zip(match.groups()[:3], ("year", "mon", "day"), strict=True):
        if digits is not None:
            number = int(digits)
            sign = "+" if negative and number > 0 else ""
            parts.append(f"{sign}{number} {unit}{'' if number == 1 else 's'}")
            negative = number < 0
    if match[5] is not None:
        parts.append((match[4] or ("+" if negative else "")) + match[5])
    return " ".join(parts)


_PLAIN = {
    "BOOLEAN": "bool",
    "TINYINT": "int2",
    "UTINYINT": "int2",
    "SMALLINT": "int2",
    "USMALLINT": "int4",
    "INTEGER": "int4",
    "UINTEGER": "int8",
    "BIGINT": "int8",
    "VARCHAR": "text",
    '"NULL"': "text",
}
_TEXTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "BIGNUM": ("numeric", Decimal),
    "FLOAT": ("float4", Decimal),
    "DOUBLE": ("float8", Decimal),
    "DATE": ("date", _date),
    "TIME": ("time", _time),
    "TIME WITH TIME ZONE": ("timetz", str),
    "TIMESTAMP": ("timestamp", _timestamp),
    "TIMESTAMP_S": ("timestamp", _timestamp),
    "TIMESTAMP_MS": ("timestamp", _timestamp),
    "INTERVAL": ("interval", interval_text),
    "UUID": ("uuid", str),
    "BIT": ("bit", str),
    "JSON": ("json", str),
}
