"""The widths of a table's columns, and the parts of a table that is too wide.

A number is never cut or wrapped. A table that is too wide is first set smaller, then its texts
wrap, then it continues in further parts, each of which begins with the key columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateRuntimeError

from report_runner.render.text_width import text_width

# Points: what is between the page's margins, the sizes that tables are set in, a cell's padding.
PORTRAIT, LANDSCAPE = 510.0, 757.0
LANDSCAPE_HEIGHT = 470.0  # for a figure with its caption
SIZES = (7.6, 6.8, 6.0)
PADDING = 9.4
PART_SIZE = 1  # index into SIZES, of a table that goes into parts anyway
MAX_PARTS = 60

_WIDEST = 1.11  # of any character that is not a wide one
_NARROW_TEXT, _WIDE_TEXT = 8.0, 25.0  # of the font size: least and most room of a wrapping text
_KEY_SHARE = 0.4  # of the page's width that key columns may take in each part
_KEYS = 2


@dataclass(frozen=True, slots=True)
class ColumnNeeds:
    """The width that a column needs: `natural` and `least` are multiples of the font size."""

    name: str
    wraps: bool  # a text
    key: bool  # may stand at the beginning of each part
    natural: float
    least: float


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the columns side by side."""

    columns: tuple[int, ...]
    size: int  # index into SIZES
    shares: tuple[float, ...]  # per cent of the table's width
    wrapping: tuple[bool, ...]  # columns whose text may not fit into one line


def widest(texts: Sequence[str]) -> float:
    """The width of the widest text; looks at as few of them as it can."""
    best = 0.0
    for text in sorted(set(texts), key=len, reverse=True):
        if text.isascii() and len(text) * _WIDEST <= best:
            break
        best = max(best, text_width(text))
    return best


def column_needs(
    name: str, label: str, texts: Sequence[str], *, wraps: bool, key: bool
) -> ColumnNeeds:
    """The needs of a column, from its label and the texts of its cells."""
    cells = widest(texts)
    words = max((text_width(word, bold=True) for word in label.split()), default=0.0)
    heading = max(min(words, _WIDE_TEXT), 1.5)
    natural = max(min(cells, _WIDE_TEXT) if wraps else cells, heading)
    least = max(min(natural, _NARROW_TEXT), heading) if wraps else natural
    return ColumnNeeds(name, wraps, key, natural, least)


def arrange(
    columns: Sequence[ColumnNeeds], available: float, keys: Sequence[str] | None = None
) -> list[Part]:
    """The parts of a table, at least one.

    `available` is the width of the page in points, `keys` the columns with which each part begins
    (by default the first ones that identify a row). Raises TemplateRuntimeError where a column
    does not fit on the page.
    """
    everything = tuple(range(len(columns)))
    for size in range(len(SIZES)):
        if _points([column.natural for column in columns], size) <= available:
            return [_part(columns, everything, size, available)]
    if _points([column.least for column in columns], len(SIZES) - 1) <= available:
        return [_part(columns, everything, len(SIZES) - 1, available)]
    chosen = _key_columns(columns, available, keys)
    room = available - _points([columns[index].least for index in chosen], PART_SIZE)
    groups: list[list[int]] = []
    left = 0.0
    for index in everything:
        if index in chosen:
            continue
        wanted = _points([columns[index].natural], PART_SIZE)
        if wanted > room and columns[index].wraps:
            wanted = max(room / 2, _points([columns[index].least], PART_SIZE))
        if wanted > room:
            raise TemplateRuntimeError(
                f"table: column {columns[index].name!r} needs {wanted:.0f} pt, and beside the key "
                f"columns a page has {room:.0f} pt; shorten its values in the query, or name "
                "another `keys`"
            )
        if not groups or wanted > left:
            groups.append([])
            left = room
        groups[-1].append(index)
        left -= wanted
    if len(groups) > MAX_PARTS:
        raise TemplateRuntimeError(
            f"table: {len(columns)} columns would take {len(groups)} parts, at most {MAX_PARTS} "
            f"are made; some {len(groups[0]) + len(chosen)} columns fit side by side: name fewer"
        )
    return [_part(columns, (*chosen, *group), PART_SIZE, available) for group in groups]


def _points(widths: Sequence[float], size: int) -> float:
    return sum(width * SIZES[size] + PADDING for width in widths)


def _key_columns(
    columns: Sequence[ColumnNeeds], available: float, keys: Sequence[str] | None
) -> tuple[int, ...]:
    if keys is not None:
        names = [column.name for column in columns]
        unknown = [name for name in keys if name not in names]
        if unknown:
            raise TemplateRuntimeError(
                f"table: keys names {unknown[0]!r}, which is none of {', '.join(names)}"
            )
        return tuple(names.index(name) for name in keys)
    found: list[int] = []
    for index, column in enumerate(columns):
        taken = _points([columns[i].least for i in (*found, index)], PART_SIZE)
        if len(found) == _KEYS or taken > _KEY_SHARE * available or (found and not column.key):
            break
        found.append(index)
    return tuple(found)


def _part(
    columns: Sequence[ColumnNeeds], chosen: tuple[int, ...], size: int, available: float
) -> Part:
    """Spare width goes to all columns; missing width is taken from those that wrap."""
    some = [columns[index] for index in chosen]
    natural = [_points([column.natural], size) for column in some]
    least = [_points([column.least], size) for column in some]
    over = sum(natural) - available
    if over > 0:
        slack = sum(natural) - sum(least)
        given = [
            wanted - (wanted - low) * over / slack
            for wanted, low in zip(natural, least, strict=True)
        ]
    else:
        given = [wanted * available / sum(natural) for wanted in natural]
    wrapping = tuple(
        column.wraps and (width < wanted or column.natural >= _WIDE_TEXT)
        for column, width, wanted in zip(some, given, natural, strict=True)
    )
    return Part(chosen, size, tuple(100 * width / sum(given) for width in given), wrapping)
