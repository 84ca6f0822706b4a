"""The values that a template may print; objects of the program are refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from uuid import UUID

from jinja2 import TemplateRuntimeError, Undefined
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.utils import Namespace

from report_runner.contract.values import plain_text

# Python's own text of these is another than PostgreSQL's: 1E-7, 02:30:00.500000.
_WRITTEN_AS_POSTGRES = (Decimal, datetime, time)
_VALUES = (
    str, int, float, Decimal, date, time, timedelta, UUID, Undefined,
    IPv4Address, IPv4Network, IPv6Address, IPv6Network,
)  # fmt: skip
_TO_TEXT = (
    "capitalize", "center", "e", "escape", "forceescape", "indent", "lower", "pprint", "replace",
    "safe", "string", "striptags", "title", "trim", "truncate", "upper", "urlize", "wordcount",
    "wordwrap",
)  # fmt: skip
HINT = "_template_hint"  # attribute of an object: what to write instead of printing it


def printable(value: Any) -> Any:
    """The value itself. Raises TemplateRuntimeError with a remedy where it cannot be printed."""
    if value is None or isinstance(value, _VALUES) or hasattr(value, "__html__"):
        return value
    raise TemplateRuntimeError(f"cannot print {_instead(value)}")


def printed(value: Any) -> Any:
    """What stands for the value in a text. Raises TemplateRuntimeError as `printable` does."""
    return plain_text(value) if isinstance(value, _WRITTEN_AS_POSTGRES) else printable(value)


def _instead(value: Any) -> str:
    hint = getattr(value, HINT, None)
    if isinstance(hint, str):
        return hint
    if isinstance(value, LoopContext):
        return "the loop itself: write one of its values, as in {{ loop.index }}"
    if isinstance(value, Namespace):
        return "a namespace: write one of its values, as in {{ ns.total }}"
    if isinstance(value, Mapping):
        return "a mapping: write one of its values, as in {{ row.amount }}, or | tojson"
    if callable(value):
        return "a function: call it, with parentheses"
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes: have the query encode or decode them"
    if isinstance(value, Iterable):
        return "a list: loop over it, or write | join(', ')"
    return f"a value of type {type(value).__name__}: have the query cast it to text"


def printable_all(values: Iterable[Any]) -> list[Any]:
    """Checks each item as `printable` does."""
    return [printable(value) for value in values]


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    position = 1 if hasattr(function, "jinja_pass_arg") else 0  # after environment or context

    @functools.wraps(function)
    def check(*args: Any, **options: Any) -> Any:
        value = printed(args[position])
        return function(*args[:position], value, *args[position + 1 :], **options)

    return check


# Jinja2's own filters that turn their input into text.
TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _checked(FILTERS[name]) for name in _TO_TEXT},
}
