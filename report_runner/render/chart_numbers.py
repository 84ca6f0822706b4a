"""Numbers in charts: the engine calculates with doubles, which hold some 15 digits.

A position may be rounded. What is read (a text, a label, a legend's entry) or compared (a group, a
filter) has every digit of the database, or the run fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from report_runner.contract.numbers import as_decimal
from report_runner.contract.values import plain_text
from report_runner.models import Table

SUMMED = ".15~r"  # d3's format of a number that the engine computed; its own shows 12 digits
_DIGITS = 15
_READ = ("text", "tooltip")
_HEADERS = ("row", "column", "facet")
# They show a number of the data as it is, and not one that is computed of many.
_PICKING = (
    "max", "min", "median", "q1", "q3", "first_value", "last_value", "nth_value", "lag", "lead",
)  # fmt: skip
_ORDER = "sort"
_ESCAPED = re.compile(r"\\(.)")
_DISCRETE = ("nominal", "ordinal")


@dataclass(slots=True)
class _Uses:
    """How a specification uses a column."""

    read: bool = False  # or grouped by
    measured: bool = False
    told: bool = False  # an expression names it
    summed: bool = False
    picked: bool = False  # written with the digits of a computed number
    discrete: list[dict[str, Any]] = field(default_factory=list)


def exact_numbers(spec: dict[str, Any], table: Table) -> tuple[dict[str, Any], frozenset[str]]:
    """The specification, and the columns that have to be given as text.

    `spec` has its columns resolved. Raises ValueError, naming column and remedy.
    """
    out: dict[str, Any] = _copied(spec)
    for channel in _text_channels(out):
        _full_format(channel, table.columns)
    _write_headers_in_full(out, table.columns)
    texts = set()
    for index, name in enumerate(table.columns):
        uses = _uses(out, name)
        if not (uses.summed or uses.picked or uses.read or uses.told):
            continue
        numbers = [as_decimal(row[index]) for row in table.rows if _is_number(row[index])]
        if uses.summed and _digits_of_sum(numbers) > _DIGITS:
            raise ValueError(
                f"the sum of column {name} may have more than {_DIGITS} digits, which a chart "
                f"cannot write; give the query a column of text that has it: sum({name})::text"
            )
        held = _is_short if uses.picked else _is_held
        rounded = next((number for number in numbers if not held(number)), None)
        if rounded is None or not (uses.picked or uses.read or uses.told):
            continue
        if uses.told or uses.measured or uses.picked:
            raise ValueError(
                f"column {name} holds {plain_text(rounded)}, which has more digits than a chart "
                "can hold; where they are read or compared, give the query a column of text "
                f"beside it ({name}::text), or round it"
            )
        texts.add(name)
        for channel in uses.discrete:
            # As text 10 would come before 9.
            order = sorted(set(numbers), reverse=channel.get(_ORDER) == "descending")
            if channel.get(_ORDER, "ascending") in ("ascending", "descending"):
                channel[_ORDER] = [plain_text(number) for number in order]
    return out, frozenset(texts)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | Decimal)
        and not isinstance(value, bool)
        and as_decimal(value).is_finite()
    )


def _is_held(number: Decimal) -> bool:
    """Whether JavaScript writes the double of a number with the number's own digits."""
    try:
        return Decimal(repr(float(number))) == number
    except OverflowError:
        return False


def _is_short(number: Decimal) -> bool:
    return len(number.normalize().as_tuple().digits) <= _DIGITS


def _digits_of_sum(numbers: Sequence[Decimal]) -> int:
    places = max((-int(number.normalize().as_tuple().exponent) for number in numbers), default=0)
    return sum(map(abs, numbers), Decimal()).adjusted() + 1 + max(places, 0)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _text_channels(value: Any) -> Iterator[dict[str, Any]]:
    """The definitions of what is written, at any depth."""
    for key, part in _parts(value, ""):
        if key in _READ and "field" in part:
            yield part


def _write_headers_in_full(spec: dict[str, Any], columns: Sequence[str]) -> None:
    for key, part in _parts(spec, ""):
        given = part.get("field")
        if (
            key in _HEADERS
            and isinstance(given, str)
            and _plain(given) in columns
            and part.get("type") == "quantitative"
            and not any(part.get(word) for word in ("aggregate", "bin", "timeUnit"))
        ):
            part["type"] = "nominal"  # written as it is


def _full_format(channel: dict[str, Any], columns: Sequence[str]) -> None:
    if "format" in channel or "formatType" in channel or _kind(channel) != "quantitative":
        return
    given = channel["field"]
    computed = any(channel.get(word) for word in ("aggregate", "bin", "timeUnit"))
    if not computed and isinstance(given, str) and _plain(given) in columns:
        channel["type"] = "nominal"  # written as it is
    else:
        channel["format"] = SUMMED


def _kind(channel: Mapping[str, Any]) -> str:
    """The type of a definition, as Vega-Lite takes it where none is written."""
    computed = isinstance(channel.get("aggregate"), str) or channel.get("bin")
    return str(channel.get("type") or ("quantitative" if computed else "nominal"))


def _plain(name: str) -> str:
    return _ESCAPED.sub(r"\1", name)


def _parts(value: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a specification with the key that it stands under."""
    if isinstance(value, dict):
        yield key, value
        for name, inner in value.items():
            # What a channel shows under a condition is shown by that channel.
            yield from _parts(inner, key if name == "condition" and key in _READ else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner, key)


def _uses(spec: dict[str, Any], name: str) -> _Uses:
    found = _Uses()
    repeated = any(
        name in map(_plain, _texts(part[word]))
        for _, part in _parts(spec, "")
        for word in ("repeat", "row", "column", "layer")
        if word in part
    )
    has_text = any(True for _ in _text_channels(spec))
    for key, part in _parts(spec, ""):
        given = part.get("field")
        if (isinstance(given, str) and _plain(given) == name) or (
            isinstance(given, Mapping) and repeated
        ):
            _use_of(part, key, found, has_text)
        if name in map(_plain, _texts(part.get("groupby"))):
            found.read = True
        for word in ("fold", "flatten", "pivot", "value", "impute", "density", "quantile", "on"):
            if key == "transform" and name in map(_plain, _texts(part.get(word))):
                found.told = True
        for word in ("calculate", "filter", "expr", "labelExpr", "test", "signal"):
            text = part.get(word)
            if isinstance(text, str) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                found.told = True
    return found


def _use_of(part: dict[str, Any], key: str, found: _Uses, has_text: bool) -> None:
    if part.get("aggregate") == "sum" or part.get("op") == "sum":
        found.summed = found.summed or (has_text if key != "text" else True)
    if any(part.get(word) in _PICKING for word in ("aggregate", "op")):
        found.picked = found.picked or has_text
    if key in (_ORDER, "filter", "not", "and", "or", "test"):
        # A predicate compares; a sort takes the column's own order.
        found.measured = True
        found.told = found.told or key != _ORDER
    elif any(part.get(word) for word in ("aggregate", "op", "bin", "timeUnit")):
        found.measured = True
    elif part.get("type", "nominal") in _DISCRETE:
        found.read = True
        if key not in (*_READ, "detail", "key", "href", "url", "description"):
            found.discrete.append(part)
    else:
        found.measured = True
        found.read = found.read or key in _READ


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]
