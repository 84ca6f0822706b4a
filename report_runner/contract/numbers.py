"""Exact decimal arithmetic, with PostgreSQL's rules for rounding and for the scale of a quotient.

Every number becomes a Decimal of the same digits; a float becomes the shortest decimal that reads
back as the same float, which is also what PostgreSQL writes for a double precision.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, Overflow, localcontext
from typing import Any

NOTHING = "–"  # how NULL is shown
MINUS = "\N{MINUS SIGN}"
MAX_PLACES = 40  # decimals of a format that an author asks for
# PostgreSQL's numeric has 131,072 digits before and 16,383 after the point; what a report computes
# stays far below, and a value of this many digits cannot be read either.
MAX_DIGITS = 2000

# Also the context in which templates run, so that Python's own formatting rounds alike.
EXACT = Context(prec=MAX_DIGITS, rounding=ROUND_HALF_UP, Emin=-16_383, Emax=131_072)
_ROOTS = Context(prec=28, rounding=ROUND_HALF_UP)
_MIN_SIGNIFICANT = 16  # NUMERIC_MIN_SIG_DIGITS
_MAX_SCALE = 1000  # NUMERIC_MAX_DISPLAY_SCALE
_SUFFIXES = ("", "k", "M", "B", "T")

Number = int | float | Decimal


def is_number(value: Any) -> bool:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def as_decimal(value: Number) -> Decimal:
    """The same digits as a Decimal, NaN and infinities included."""
    if isinstance(value, Decimal):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def scale(value: Decimal) -> int:
    """Digits behind the point that the value is written with; 0 for NaN and infinities."""
    exponent = value.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def round_half_up(value: Number, places: int) -> Decimal:
    """As PostgreSQL's `round(numeric, places)`: ties go away from zero."""
    number = as_decimal(value)
    if not number.is_finite():
        return number
    return number.quantize(Decimal(1).scaleb(-places), context=EXACT)


def divide(left: Number, right: Number) -> Decimal:
    """The quotient with the scale that PostgreSQL's numeric gives it: 16 digits or more.

    Raises ZeroDivisionError. Source: `select_div_scale` in backend/utils/adt/numeric.c.
    """
    dividend, divisor = as_decimal(left), as_decimal(right)
    if divisor == 0:
        raise ZeroDivisionError("division by zero")
    if not (dividend.is_finite() and divisor.is_finite()):
        return EXACT.divide(dividend, divisor)
    weight_left, first_left = _leading_group(dividend)
    weight_right, first_right = _leading_group(divisor)
    weight = weight_left - weight_right - (first_left <= first_right)
    places = max(_MIN_SIGNIFICANT - 4 * weight, scale(dividend), scale(divisor), 0)
    with localcontext(EXACT):
        return round_half_up(dividend / divisor, min(places, _MAX_SCALE))


def _leading_group(value: Decimal) -> tuple[int, int]:
    """Weight and value of the first digit to the base 10,000, as numeric.c stores it."""
    if value == 0:
        return 0, 0
    weight = value.adjusted() // 4
    return weight, int(abs(value).scaleb(-4 * weight, context=EXACT))


def average(values: Sequence[Number]) -> Decimal:
    """As PostgreSQL's `avg(numeric)`. Raises ZeroDivisionError where there is no value."""
    return divide(total(values), len(values))


def total(values: Iterable[Number], start: Number = 0) -> Decimal | int:
    """The exact sum: whole numbers stay whole numbers."""
    result: Decimal | int = start if isinstance(start, int) else as_decimal(start)
    for value in values:
        if isinstance(value, int) and isinstance(result, int):
            result += value
        else:
            result = EXACT.add(as_decimal(result), as_decimal(value))
    return result


def _whole_or(
    whole: Callable[[int, int], int], exact: Callable[[Decimal, Decimal], Decimal]
) -> Callable[[Number, Number], Number]:
    def compute(left: Number, right: Number) -> Number:
        if isinstance(left, int) and isinstance(right, int):
            return whole(left, right)
        return exact(as_decimal(left), as_decimal(right))

    return compute


def _power(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        return int(left**right)
    exponent = as_decimal(right)
    whole = exponent == exponent.to_integral_value() and exponent >= 0
    return (EXACT if whole else _ROOTS).power(as_decimal(left), exponent)


# What templates compute with numbers. Whole numbers stay exact whole numbers, save in a quotient.
OPERATORS: dict[str, Callable[[Number, Number], Number]] = {
    "+": _whole_or(operator.add, EXACT.add),
    "-": _whole_or(operator.sub, EXACT.subtract),
    "*": _whole_or(operator.mul, EXACT.multiply),
    "/": divide,
    "//": _whole_or(operator.floordiv, lambda a, b: (a / b).to_integral_value("ROUND_FLOOR")),
    "%": _whole_or(operator.mod, lambda a, b: a - b * (a / b).to_integral_value("ROUND_FLOOR")),
    "**": _power,
}


def compute(symbol: str, left: Number, right: Number) -> Number:
    """One operation of a template. Raises ArithmeticError."""
    try:
        with localcontext(EXACT):
            return OPERATORS[symbol](left, right)
    except (InvalidOperation, Overflow) as error:
        raise ArithmeticError(
            f"{symbol} of numbers with more than {MAX_DIGITS} digits, or of NaN"
        ) from error


def format_number(value: Number, places: int | None = None, plus: bool = False) -> str:
    """`-1234.5, 2` → "−1,234.50"; without `places` the digits that the value has.

    NaN, Infinity and −Infinity are written as PostgreSQL writes them.
    """
    number = as_decimal(value)
    if number.is_nan():
        return "NaN"
    if number.is_infinite():
        return f"{MINUS}Infinity" if number < 0 else "Infinity"
    if places is not None:
        digits = scale(number)
        places = max(0, min(int(places), max(MAX_PLACES, digits)))
        if places < digits:
            number = round_half_up(number, places)
        text = format(number, f",.{places}f")
    else:
        text = format(number, ",f")
    if text.startswith("-"):
        # −0.00 says nothing that 0.00 does not say
        return MINUS + text[1:] if text.strip("-0.,") else text[1:]
    return "+" + text if plus and text.strip("0.,") else text


def format_compact(value: Number, places: int = 1) -> str:
    """`12345678` → "12.3M". A value that rounds up to the next unit has that: 999,999 → "1.0M"."""
    number = as_decimal(value)
    if not number.is_finite():
        return format_number(number)
    shown = round_half_up(number, 0 if isinstance(value, int) else places)
    letter = ""
    for thousands, suffix in enumerate(_SUFFIXES):
        if thousands:
            shown = round_half_up(number.scaleb(-3 * thousands, context=EXACT), places)
        letter = suffix
        if abs(shown) < 1000:
            break
    return format_number(shown) + letter


def short_places(value: Number, places: int = 2) -> int:
    """Decimals for a figure that stands alone: at most `places`, below 1 three digits that count.

    Never more than the value has.
    """
    number = as_decimal(value)
    if not number.is_finite() or number == 0:
        return 0
    wanted = places if abs(number) >= 1 else max(places, 2 - number.adjusted())
    return min(wanted, scale(number))


def exact(value: Any) -> Any:
    """The same value with each float in it, at any depth, as a Decimal of the same digits."""
    if isinstance(value, float):
        return as_decimal(value)
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return value


def places_of(values: Iterable[Number]) -> int:
    """Decimals with which each of the values shows all of its digits."""
    return max((scale(as_decimal(value)) for value in values), default=0)
