"""Any value as text, one way for every output: as PostgreSQL writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from report_runner.contract.moments import FULL
from report_runner.contract.numbers import as_decimal


def plain_text(value: Any) -> str:
    """The text of a value that is not NULL: numbers in full, objects and lists as JSON."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        number = as_decimal(value)
        return format(number, "f") if number.is_finite() else str(number)
    if isinstance(value, date):
        return FULL.text(value)
    if isinstance(value, time):
        text = value.isoformat()
        return text.rstrip("0") if value.microsecond and value.tzinfo is None else text
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    return str(value)


def json_text(value: Any) -> str:
    """JSON as PostgreSQL's jsonb prints it, with every digit of a number."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        parts = (f"{_quoted(str(name))}: {json_text(inner)}" for name, inner in value.items())
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, bool | int):
        return plain_text(value)
    if isinstance(value, float | Decimal) and as_decimal(value).is_finite():
        return plain_text(value)
    if isinstance(value, datetime):
        return _quoted(plain_text(value).replace(" ", "T"))
    if not isinstance(value, str | float | Decimal | date | time):
        raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
    return _quoted(plain_text(value))


def parse_json(text: str) -> Any:
    """The values behind a JSON text; numbers keep their digits. Raises ValueError."""
    return json.loads(text, parse_float=Decimal)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
