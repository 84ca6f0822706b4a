"""How values come out of PostgreSQL: as Python's own types where these hold all, else as its text.

A type without a Python type below (interval, json, arrays, ranges, bytea, composite, enum, ...) is
a text, exactly as PostgreSQL writes it. Numbers become Decimals, floating point as well: with
`extra_float_digits` 1 PostgreSQL writes the shortest text that reads back as the same number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader

from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset, parse_offset
from report_runner.contract.values import json_text
from report_runner.models import ColumnType

_SCALE_LIMIT = 1000  # NUMERIC_MAX_SCALE
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?::\d\d){0,2})?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _date(text: str) -> date | FarMoment:
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    return FarMoment(text, MomentKind.DATE)


def _time(text: str) -> time | str:
    # A day's end has no place in Python.
    return text if text.startswith("24:") else time.fromisoformat(text)


def _timestamp(text: str) -> datetime | FarMoment:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return FarMoment(text, MomentKind.TIME)
    return datetime.fromisoformat(match[1])


@lru_cache(maxsize=256)
def _offset(text: str, zone: ZoneInfo) -> SessionOffset:
    return SessionOffset(parse_offset(text), zone)


def _zoned(text: str, zone: ZoneInfo) -> datetime | FarMoment:
    """A timestamptz as a session of this zone writes it."""
    match = _MOMENT.fullmatch(text)
    if match is None or match[2] is None:
        return FarMoment(text, MomentKind.ZONED)
    return datetime.fromisoformat(match[1]).replace(tzinfo=_offset(match[2], zone))


_DECODERS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: text == "t",
    "int2": int,
    "int4": int,
    "int8": int,
    "numeric": Decimal,
    "float4": Decimal,
    "float8": Decimal,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
}


def decoder(type_: ColumnType, zone: ZoneInfo) -> Callable[[str], Any] | None:
    """What makes a value of PostgreSQL's text; None where the text is the value."""
    if type_.name == "timestamptz":
        return partial(_zoned, zone=zone)
    return _DECODERS.get(type_.name)


def register_loaders(connection: psycopg.Connection[Any]) -> None:
    """Let every value of this connection come as PostgreSQL's text."""
    adapters = connection.adapters
    for info in adapters.types:
        adapters.register_loader(info.oid, TextLoader)
        if info.array_oid:
            adapters.register_loader(info.array_oid, TextLoader)


def column_type(connection: psycopg.Connection[Any], column: psycopg.Column) -> ColumnType:
    """The type of a column of a result; that of a domain is the type below it."""
    info = connection.adapters.types.get(column.type_code)
    # The registry has one entry for a type and its array.
    name = info.name if info is not None and info.oid == column.type_code else "text"
    if name != "numeric" or column.precision is None or column.scale is None:
        return ColumnType(name)
    # numeric(2,-3): 11 bits with a sign, which psycopg gives without it.
    scale = column.scale - 2048 if column.scale > _SCALE_LIMIT else column.scale
    return ColumnType(name, column.precision, scale)


def bound_value(value: Any) -> Any:
    """A parameter as it is sent: objects as jsonb, a list of numbers as a list of one type.

    Raises ValueError for a list that PostgreSQL could not take for an array.
    """
    if isinstance(value, Mapping):
        return Jsonb(value, dumps=json_text)
    if not isinstance(value, list):
        return value
    present = [item for item in value if item is not None]
    if any(isinstance(item, Mapping) for item in present):
        return Jsonb(value, dumps=json_text)
    kinds = {type(item) for item in present}
    if kinds == {int, Decimal}:
        return [Decimal(item) if isinstance(item, int) else item for item in value]
    if len(kinds) > 1:
        raise ValueError("is a list of several types; write all of its values as one type")
    return [bound_value(item) for item in value] if kinds == {list} else value
