"""Filters that templates have beside Jinja2's own, for numbers and dates.

One table, `FILTERS`, is registered by the template environment, so that the operator's compile
check and the runner know the same names. NULL is shown as an en dash by every filter.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError, Undefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
_MAX_DECIMALS = 20
_COMPACT = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))

Number = int | float | Decimal


def _as_number(value: Any, name: str) -> Number:
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined says which name it is
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        try:
            return Decimal(str(value).strip())
        except ArithmeticError:
            raise TemplateRuntimeError(
                f"filter {name}: a {type(value).__name__} that is not a number"
            ) from None
    return value


def format_number(value: Number, decimals: int | None = None, plus: bool = False) -> str:
    """`-1234.5, 2` → "−1,234.50". Without `decimals` the digits that the value has."""
    if value != value or value in (float("inf"), float("-inf")):
        return NOTHING
    if decimals is None:
        text = format(value, ",")
        if "E" in text or "e" in text:
            text = format(value, ",f")
    else:
        text = format(value, f",.{max(0, min(int(decimals), _MAX_DECIMALS))}f")
    if text.startswith("-"):
        # −0.00 says nothing that 0.00 does not say
        return MINUS + text[1:] if text.strip("-0.,") else text[1:]
    return "+" + text if plus and text.strip("0.,") else text


def thousands(value: Any) -> str:
    """`1234567.8` → "1,234,567.8"."""
    return NOTHING if value is None else format_number(_as_number(value, "thousands"))


def decimals(value: Any, places: int = 2) -> str:
    """`1234.5` → "1,234.50"."""
    return NOTHING if value is None else format_number(_as_number(value, "decimals"), places)


def percent(value: Any, places: int = 1, ratio: Any = True) -> str:
    """`0.1234` → "12.3%"; with `ratio=false` the value is in percent already."""
    if value is None:
        return NOTHING
    number = _as_number(value, "percent")
    return format_number(number * 100 if ratio else number, places) + "%"


def compact(value: Any, places: int = 1) -> str:
    """`12345678` → "12.3M" (k, M, B, T)."""
    if value is None:
        return NOTHING
    number = _as_number(value, "compact")
    for size, letter in _COMPACT:
        if abs(float(number)) >= size:
            return format_number(number / size, places) + letter
    return format_number(number, None if isinstance(number, int) else places)


def sign_class(value: Any) -> str:
    """The CSS class of a gain ("up"), a loss ("down") or neither ("")."""
    if value is None:
        return ""
    number = _as_number(value, "sign_class")
    return "up" if number > 0 else "down" if number < 0 else ""


@pass_eval_context
def signed(context: EvalContext, value: Any, places: int = 2, suffix: str = "") -> str:
    """`-1.5` → "−1.50" in the colour of a loss, `1.5` → "+1.50" in the colour of a gain."""
    if value is None:
        return NOTHING
    text = format_number(_as_number(value, "signed"), places, plus=True) + str(suffix)
    if not context.autoescape:
        return text
    return Markup('<span class="{}">{}</span>').format(sign_class(value), escape(text))


def _as_date(value: Any, name: str) -> date:
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise TemplateRuntimeError(
            f"filter {name}: a {type(value).__name__} that is not a date (write YYYY-MM-DD)"
        ) from None


def date_filter(value: Any, form: str = "%-d %B %Y") -> str:
    """A date or an ISO text by strftime: `2026-11-24` → "24 November 2026"."""
    return NOTHING if value is None else _as_date(value, "date").strftime(form[:100])


def datetime_filter(value: Any, form: str = "%Y-%m-%d %H:%M", zone: str | None = None) -> str:
    """A time by strftime, in `zone` (for example Europe/Madrid) where that is given."""
    if value is None:
        return NOTHING
    moment = _as_date(value, "datetime")
    if zone is not None and isinstance(moment, datetime) and moment.tzinfo is not None:
        try:
            moment = moment.astimezone(ZoneInfo(zone))
        except (ValueError, OSError):
            raise TemplateRuntimeError(f"filter datetime: unknown zone {zone!r}") from None
    return moment.strftime(form[:100])


def css_string(value: Any) -> Markup:
    """A text as a CSS string with its quotes: `content: {{ title | css_string }}`."""
    text = "".join(c if c.isalnum() and c.isascii() else f"\\{ord(c):x} " for c in str(value))
    return Markup(f'"{text}"')  # noqa: S704  (nothing but letters, digits and escapes is left)


FILTERS: dict[str, Callable[..., Any]] = {
    "thousands": thousands,
    "decimals": decimals,
    "percent": percent,
    "compact": compact,
    "signed": signed,
    "sign_class": sign_class,
    "date": date_filter,
    "datetime": datetime_filter,
    "css_string": css_string,
}
