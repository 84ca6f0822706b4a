"""Rows compared by value: equal figures are equal however they are written, in whatever order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

from report_runner.contract.moments import FULL, FarMoment
from report_runner.contract.numbers import EXACT, as_decimal, is_number
from report_runner.contract.values import plain_text
from report_runner.models import Table

_MODULUS = 1 << 256
_PLAIN_DIGITS = 100  # before or behind the point: longer numbers are written with an exponent


def canonical(value: Any) -> tuple[str, str]:
    """Kind and text of a value: 1, 1.0 and 1.00 are one number, and "1" is another value."""
    if value is None:
        return "null", ""
    if is_number(value):
        number = as_decimal(value)
        if number.is_nan():
            return "number", "NaN"
        if number.is_infinite():
            return "number", str(number)
        if number == 0:
            return "number", "0"
        text = format(number, "f") if abs(number.adjusted()) < _PLAIN_DIGITS else None
        if text is None:
            return "number", str(number.normalize(EXACT))
        return "number", text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, bool):
        return "boolean", str(value)
    if isinstance(value, FarMoment):
        return "moment", str(value)
    if isinstance(value, str):
        return "text", value
    if isinstance(value, datetime):
        return "time", FULL.text(value)
    return ("date" if isinstance(value, date) else type(value).__name__), plain_text(value)


def _kept(value: Any) -> str:
    kind, text = canonical(value)
    return f"{kind} {len(text)} {text}"


# The common kinds, some times faster; they are written as `_kept` writes them.
_FAST: dict[type, Callable[[Any], str]] = {
    str: lambda value: f"text {len(value)} {value}",
    type(None): lambda _: "null 0 ",
    date: lambda value: f"date 10 {value.isoformat()}",
}


def key_digest(values: Iterable[Any]) -> bytes:
    """Equal for equal values."""
    text = "".join([_FAST.get(type(value), _kept)(value) for value in values])
    return blake2b(text.encode(errors="surrogatepass"), digest_size=32).digest()


def rows_digest(table: Table, ignored: Collection[str] = ()) -> str:
    """Of the columns that are not ignored and their rows, as a multiset: their order is ignored.

    The digests of the rows are summed, which needs no memory for them.
    """
    places = [index for index, name in enumerate(table.columns) if name not in ignored]
    total = 0
    for row in table.rows:
        total += int.from_bytes(key_digest([row[index] for index in places]))
    head = repr(([table.columns[index] for index in places], len(table.rows), total % _MODULUS))
    return hashlib.sha256(head.encode()).hexdigest()
