"""`"%.2f" | format(value)` and `"%.2f" % value` with exact decimals.

Python's own operator turns every number into a float first: 9007199254740993 would be printed as
…992 by `%.0f`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, localcontext
from typing import Any

from jinja2 import TemplateRuntimeError
from markupsafe import Markup

from report_runner.contract.numbers import EXACT, NOTHING, as_decimal, is_number, round_half_up
from report_runner.contract.printable import printed

_DIRECTIVE = re.compile(
    r"%(?:\((?P<name>[^)]*)\))?(?P<flags>[#0\- +]*)(?P<width>\*|\d+)?(?:\.(?P<places>\d+))?"
    r"[hlL]?(?P<kind>.)",
    re.DOTALL,
)
_FLOAT_KINDS = frozenset("fFeEgG")
_WIDTH_LIMIT = 1000  # characters and decimals of one value


def format_text(template: str, *values: Any, **named: Any) -> str:
    """printf-style formatting as Jinja2's `format` filter. Raises TemplateRuntimeError."""
    if values and named:
        raise TemplateRuntimeError("filter format: give values either by position or by name")
    if len(values) == 1 and isinstance(values[0], Mapping):
        named, values = dict(values[0]), ()
    left = iter(values)

    def replace(match: re.Match[str]) -> str:
        if match["kind"] == "%":
            return "%"
        try:
            value = named[match["name"]] if match["name"] is not None else next(left)
        except (KeyError, StopIteration):
            raise TemplateRuntimeError(f"filter format: no value for {match[0]}") from None
        return _format(match, value)

    text = _DIRECTIVE.sub(replace, str(template))
    if next(left, None) is not None:
        raise TemplateRuntimeError("filter format: more values than placeholders")
    return Markup(text) if isinstance(template, Markup) else text  # noqa: S704


def _format(match: re.Match[str], value: Any) -> str:
    kind, flags = match["kind"], match["flags"]
    if match["width"] == "*" or any(
        int(number or 0) > _WIDTH_LIMIT for number in (match["width"], match["places"])
    ):
        raise TemplateRuntimeError(f"filter format: {match[0]} is wider than {_WIDTH_LIMIT}")
    if kind in _FLOAT_KINDS or kind in "di":
        if not is_number(value):
            raise TemplateRuntimeError(
                f"filter format: {match[0]} wants a number, not "
                f"{'NULL' if value is None else f'a {type(value).__name__}'}"
            )
        return _format_number(match, value)
    value = NOTHING if value is None else printed(value)
    try:
        formatted: str = (
            f"%{flags}{match['width'] or ''}"
            f"{'.' + match['places'] if match['places'] else ''}{kind}"
        ) % (value,)
    except (TypeError, ValueError) as error:
        raise TemplateRuntimeError(f"filter format: {match[0]}: {error}") from error
    return formatted


def _format_number(match: re.Match[str], value: Any) -> str:
    kind, flags = match["kind"], match["flags"]
    sign = "+" if "+" in flags else " " if " " in flags else ""
    align = "<" if "-" in flags else ">"
    pad = "0" if "0" in flags and align == ">" else ""
    width = match["width"] or ""
    number = as_decimal(value)
    layout = f"{'' if pad else align}{sign}{pad}{width}"
    with localcontext(EXACT):
        if not number.is_finite():
            return format(float(number), f"{align}{sign}{width}")
        if kind in "di":
            return format(int(number.to_integral_value(ROUND_DOWN)), f"{layout}d")
        places = int(match["places"] or 6)
        if kind in "fF":
            return format(round_half_up(number, places), f"{layout}f")
        return format(number, f"{layout}.{places}{kind}")
