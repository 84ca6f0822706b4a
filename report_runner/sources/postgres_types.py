"""How values come out of PostgreSQL: as Python's own types where these hold all, else as its text.

A type without a Python type below (interval, json, arrays, ranges, bytea, composite, enum, ...) is
a text, exactly as PostgreSQL writes it. Numbers become Decimals, floating point as well: with
`extra_float_digits` 1 PostgreSQL writes the shortest text that reads back as the same number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader

from report_runner.contract.moments import FarMoment, MomentKind, SessionOffset, parse_offset
from report_runner.contract.values import json_text
from report_runner.models import ColumnType

_SCALE_LIMIT = 1000  # NUMERIC_MAX_SCALE
_KEPT = ("bool", "int2", "int4", "int8", "numeric")  # psycopg's own loaders hold these whole
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?::\d\d){0,2})?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class _DecimalLoader(Loader):
    def load(self, data: Buffer) -> Decimal:
        return Decimal(bytes(data).decode())


class _DateLoader(Loader):
    def load(self, data: Buffer) -> date | FarMoment:
        text = bytes(data).decode()
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        return FarMoment(text, MomentKind.DATE)


class _TimeLoader(Loader):
    def load(self, data: Buffer) -> time | str:
        text = bytes(data).decode()
        # A day's end has no place in Python.
        return text if text.startswith("24:") else time.fromisoformat(text)


class _TimestampLoader(Loader):
    def load(self, data: Buffer) -> datetime | FarMoment:
        text = bytes(data).decode()
        match = _MOMENT.fullmatch(text)
        if match is None:
            return FarMoment(text, MomentKind.TIME)
        return datetime.fromisoformat(match[1])


@lru_cache(maxsize=256)
def _offset(text: str, zone: ZoneInfo) -> SessionOffset:
    return SessionOffset(parse_offset(text), zone)


def _zoned_loader(zone: ZoneInfo) -> type[Loader]:
    """A loader of timestamptz as a session of this zone writes it."""

    class ZonedLoader(Loader):
        def load(self, data: Buffer) -> datetime | FarMoment:
            text = bytes(data).decode()
            match = _MOMENT.fullmatch(text)
            if match is None or match[2] is None:
                return FarMoment(text, MomentKind.ZONED)
            return datetime.fromisoformat(match[1]).replace(tzinfo=_offset(match[2], zone))

    return ZonedLoader


def register_loaders(connection: psycopg.Connection[Any], zone: ZoneInfo) -> None:
    """Let every value of this connection come as this module says."""
    adapters = connection.adapters
    for info in adapters.types:
        if info.name not in _KEPT:
            adapters.register_loader(info.oid, TextLoader)
        if info.array_oid:
            adapters.register_loader(info.array_oid, TextLoader)
    for name, loader in (
        ("float4", _DecimalLoader),
        ("float8", _DecimalLoader),
        ("date", _DateLoader),
        ("time", _TimeLoader),
        ("timestamp", _TimestampLoader),
        ("timestamptz", _zoned_loader(zone)),
    ):
        adapters.register_loader(name, loader)


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
