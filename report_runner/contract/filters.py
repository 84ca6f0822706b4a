"""Filters that templates have beside Jinja2's own, for numbers and dates.

One table, `FILTERS`, is registered by the template environment, so that the operator's compile
check and the runner know the same names. NULL is shown as an en dash by every filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError, Undefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from report_runner.contract.aggregates import AGGREGATES
from report_runner.contract.datefilters import DATE_FILTERS
from report_runner.contract.moments import FarMoment, style_of
from report_runner.contract.numbers import (
    NOTHING,
    Number,
    as_decimal,
    compute,
    format_compact,
    format_number,
    is_number,
    round_half_up,
    short_places,
)
from report_runner.contract.printf import format_text
from report_runner.contract.values import parse_json, plain_text

_UNSET: Any = object()
# A key figure often stands in a column of texts; "00417" and "2026" stay as they are.
_DECIMAL_TEXT = re.compile(r"-?(0|[1-9]\d*)\.\d+", re.ASCII)


def _as_number(value: Any, name: str) -> Number:
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined says which name it is
    if is_number(value):
        number: Number = value
        return number
    try:
        return Decimal(str(value).strip())
    except ArithmeticError:
        raise TemplateRuntimeError(
            f"filter {name}: a {type(value).__name__} that is not a number"
        ) from None


def thousands(value: Any) -> str:
    """`1234567.8` → "1,234,567.8"."""
    return NOTHING if value is None else format_number(_as_number(value, "thousands"))


def decimals(value: Any, places: int = 2) -> str:
    """`1234.5` → "1,234.50"; a tie is rounded away from zero, as PostgreSQL does."""
    return NOTHING if value is None else format_number(_as_number(value, "decimals"), places)


def figure(value: Any, places: int = 2) -> str:
    """`74.6923076923` → "74.69", `0.0012345` → "0.00123": rounded as the tiles are."""
    if value is None:
        return NOTHING
    number = _as_number(value, "figure")
    return format_number(number, short_places(number, places))


def tile_value(value: Any) -> str:
    """A key figure as tiles show it: a number, or a text that is a decimal number, is rounded."""
    if is_number(value) or (isinstance(value, str) and _DECIMAL_TEXT.fullmatch(value)):
        return figure(value)
    return NOTHING if value is None else plain_text(value)


def percent(value: Any, places: int = 1, ratio: Any = True) -> str:
    """`0.1234` → "12.3%"; with `ratio=false` the value is in percent already."""
    if value is None:
        return NOTHING
    number = _as_number(value, "percent")
    return format_number(compute("*", number, 100) if ratio else number, places) + "%"


def compact(value: Any, places: int = 1) -> str:
    """`12345678` → "12.3M" (k, M, B, T); 999,999 → "1.0M"."""
    return NOTHING if value is None else format_compact(_as_number(value, "compact"), places)


def round_filter(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Jinja2's `round` with exact decimals: ties go away from zero, as in PostgreSQL."""
    if value is None:
        return None
    number = as_decimal(_as_number(value, "round"))
    if method == "common":
        return round_half_up(number, precision)
    if method not in ("ceil", "floor"):
        raise TemplateRuntimeError("filter round: the method is one of common, ceil, floor")
    unit = Decimal(1).scaleb(-precision)
    return number.quantize(unit, "ROUND_CEILING" if method == "ceil" else "ROUND_FLOOR")


def float_filter(value: Any, default: Any = _UNSET) -> Any:
    """The number as an exact decimal; NULL stays NULL. Without a default a text is an error."""
    if value is None and default is _UNSET:
        return None
    try:
        return as_decimal(value) if is_number(value) else Decimal(str(value).strip())
    except ArithmeticError:
        if default is _UNSET:
            return _as_number(value, "float")
        return default


def int_filter(value: Any, default: Any = _UNSET, base: int = 10) -> Any:
    """The whole part of a number; NULL stays NULL. Without a default a text is an error."""
    if value is None and default is _UNSET:
        return None
    try:
        if isinstance(value, str) and base != 10:
            return int(value, base)
        return int(as_decimal(value) if is_number(value) else Decimal(str(value).strip()))
    except (ArithmeticError, ValueError):
        if default is _UNSET:
            raise TemplateRuntimeError(
                f"filter int: a {type(value).__name__} that is not a number"
            ) from None
        return default


def abs_filter(value: Any) -> Any:
    """The absolute value; NULL stays NULL."""
    if value is None:
        return None
    number = _as_number(value, "abs")
    return abs(number) if isinstance(number, int) else as_decimal(number).copy_abs()


def sign_class(value: Any) -> str:
    """The CSS class of a gain ("up"), a loss ("down") or neither ("")."""
    if value is None:
        return ""
    number = as_decimal(_as_number(value, "sign_class"))
    if number.is_nan() or number == 0:
        return ""
    return "up" if number > 0 else "down"


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
    if value is None or isinstance(value, FarMoment):
        return NOTHING if value is None else str(value)
    return _as_date(value, "date").strftime(form[:100])


def datetime_filter(value: Any, form: str | None = None, zone: str | None = None) -> str:
    """A time by strftime, in `zone` (for example Europe/Madrid) where that is given.

    Without a form it is `2026-11-24 07:00`, with seconds where it has some, and with the offset
    in the hour that a clock repeats.
    """
    if value is None or isinstance(value, FarMoment):
        return NOTHING if value is None else str(value)
    moment = _as_date(value, "datetime")
    if zone is not None and isinstance(moment, datetime) and moment.tzinfo is not None:
        try:
            moment = moment.astimezone(ZoneInfo(zone))
        except (ValueError, OSError):
            raise TemplateRuntimeError(f"filter datetime: unknown zone {zone!r}") from None
    if form is not None:
        return moment.strftime(form[:100])
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - a date has none
    return style_of([moment]).text(moment)


def from_json(value: Any) -> Any:
    """The values inside a text of json or jsonb: `(row.detail | fromjson).a`; NULL stays NULL."""
    if value is None:
        return None
    try:
        return parse_json(str(value))
    except ValueError:
        raise TemplateRuntimeError("filter fromjson: a text that is not JSON") from None


def css_string(value: Any) -> Markup:
    """A text as a CSS string with its quotes: `content: {{ title | css_string }}`."""
    text = "".join(c if c.isalnum() and c.isascii() else f"\\{ord(c):x} " for c in str(value))
    return Markup(f'"{text}"')  # noqa: S704  (nothing but letters, digits and escapes is left)


FILTERS: dict[str, Callable[..., Any]] = {
    "thousands": thousands,
    "decimals": decimals,
    "figure": figure,
    "tile_value": tile_value,
    "percent": percent,
    "compact": compact,
    "signed": signed,
    "sign_class": sign_class,
    "date": date_filter,
    "datetime": datetime_filter,
    "fromjson": from_json,
    "css_string": css_string,
    "round": round_filter,
    "float": float_filter,
    "int": int_filter,
    "abs": abs_filter,
    "format": format_text,
    **AGGREGATES,
    **DATE_FILTERS,
}
