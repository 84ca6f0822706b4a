"""How values come out of MySQL and MariaDB: from the texts that the server sends.

Every value is what `CAST(... AS CHAR)` of the server says, as a Python value where one holds all of
it. What is no date though the server keeps it for one is refused, and so is a type without a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pymysql.constants import FIELD_TYPE, FLAG

from report_runner.contract.moments import is_ambiguous
from report_runner.contract.numbers import scale
from report_runner.contract.values import json_text, plain_text
from report_runner.models import ColumnType

_BINARY = 63  # the character set of what is no text
_NOT_FIXED = 31  # scale of a FLOAT or DOUBLE without one
_YEAR = 13
_DIGITS = 65  # of DECIMAL
_PLACES = 30
_WHOLE = {
    FIELD_TYPE.TINY: ("int2", "int2"),
    FIELD_TYPE.SHORT: ("int2", "int4"),
    FIELD_TYPE.INT24: ("int4", "int4"),
    FIELD_TYPE.LONG: ("int4", "int8"),
    FIELD_TYPE.LONGLONG: ("int8", "numeric"),
}
_TEXTS = (
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.STRING,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
    FIELD_TYPE.ENUM,
    FIELD_TYPE.SET,
)
_DAY_TIME = re.compile(r"([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class MysqlColumn:
    """A column of a result: its type, what makes a value of its text, and what to warn of."""

    name: str
    type: ColumnType
    convert: Callable[[Any], Any]
    warning: str = ""
    in_zone: bool = False  # the server converted it to the session's time zone


def mysql_column(field: Any) -> MysqlColumn:
    """`field` is PyMySQL's description of a column. Raises ValueError with the remedy."""
    name, code, flags = str(field.name), field.type_code, field.flags
    unsigned = bool(flags & FLAG.UNSIGNED)

    def column(type_: ColumnType | str, convert: Callable[[Any], Any], **more: Any) -> MysqlColumn:
        kind = ColumnType(type_) if isinstance(type_, str) else type_
        return MysqlColumn(name, kind, convert, **more)

    match code:
        case _ if code == _YEAR:
            return column("int2", _year)
        case _ if code in _WHOLE and flags & FLAG.ZEROFILL:
            return column("text", str)  # 00042, as the server writes it: most often a code
        case _ if code in _WHOLE:
            kind = _WHOLE[code][unsigned]
            return (
                column(ColumnType(kind, 20, 0), Decimal)
                if kind == "numeric"
                else (column(kind, int))
            )
        case FIELD_TYPE.DECIMAL | FIELD_TYPE.NEWDECIMAL:
            places = field.scale
            digits = field.length - (places > 0) - (not unsigned)
            return column(ColumnType("numeric", max(digits, places, 1), places), Decimal)
        case FIELD_TYPE.FLOAT:
            warning = (
                ""
                if field.scale < _NOT_FIXED
                else (
                    f"column {name} is FLOAT, of which the server sends 6 digits: write "
                    f"CAST({name} AS DOUBLE) for all that it holds"
                )
            )
            return column("float4", Decimal, warning=warning)
        case FIELD_TYPE.DOUBLE:
            return column("float8", Decimal)
        case FIELD_TYPE.DATE | FIELD_TYPE.NEWDATE:
            return column("date", _date)
        case FIELD_TYPE.DATETIME:
            return column("timestamp", _moment)
        case FIELD_TYPE.TIMESTAMP:
            return column("timestamp", _moment, in_zone=True)
        case FIELD_TYPE.TIME:
            return column("time", _time)
        case FIELD_TYPE.BIT:
            width = field.length
            return column("bit", lambda value: format(int.from_bytes(value), f"0{width}b"))
        case FIELD_TYPE.JSON:
            return column("json", str)
        case FIELD_TYPE.NULL:
            return column("text", str)
        case _ if code in _TEXTS and field.charsetnr == _BINARY:
            return column("bytea", lambda value: "\\x" + _bytes(value).hex())
        case _ if code in _TEXTS:
            return column("text", str)
    what = (
        "GEOMETRY, write ST_AsText(...)"
        if code == FIELD_TYPE.GEOMETRY
        else (f"of type {code}, write CAST(... AS CHAR)")
    )
    raise ValueError(f"column {name} is {what} of it")


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date; {_NULL}") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date; {_NULL}") from None


_NULL = "write NULLIF(column, '0000-00-00') or leave such rows out"


def _year(text: str) -> int:
    if text == "0000":
        raise ValueError("0000 is no year; write NULLIF(column, 0) or leave such rows out")
    return int(text)


def _time(text: str) -> time | str:
    # A TIME is also a duration of up to 838 hours, which stays a text.
    return time.fromisoformat(text) if _DAY_TIME.fullmatch(text) else text


def is_in_repeated_hour(value: Any, zone: ZoneInfo) -> bool:
    """Whether a wall clock of the zone shows this time twice."""
    return isinstance(value, datetime) and is_ambiguous(value.replace(tzinfo=zone))


def literal(value: Any, zone: ZoneInfo, quote: Callable[[str], str]) -> str:
    """A parameter as it is written into the statement; `quote` makes a literal of a text.

    Times are on the clock of the session's zone. Raises ValueError for what would be rounded.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | Decimal():
            return _number(value)
        case str():
            return quote(str(value))
        case datetime():
            local = value if value.tzinfo is None else value.astimezone(zone)
            return f"TIMESTAMP'{local.replace(tzinfo=None).isoformat(' ')}'"
        case date():
            return f"DATE'{value.isoformat()}'"
        case time():
            return f"TIME'{value.isoformat()}'"
        case list() if any(isinstance(item, list | dict) for item in value):
            return quote(json_text(value))
        case list() if not value:
            return "(SELECT NULL FROM DUAL WHERE FALSE)"  # no element, unlike (NULL)
        case list():
            return f"({', '.join(literal(item, zone, quote) for item in value)})"
    return quote(json_text(value) if isinstance(value, dict) else plain_text(value))


def _number(value: int | Decimal) -> str:
    number = Decimal(value)
    digits = max(number.adjusted() + 1, 0) + scale(number) if number.is_finite() else _DIGITS + 1
    if digits > _DIGITS or scale(number) > _PLACES:
        raise ValueError(
            f"is no DECIMAL of at most {_DIGITS} digits, {_PLACES} of them decimals; write it in "
            "quotes"
        )
    text = plain_text(value)
    return f"({text})" if text.startswith("-") else text
