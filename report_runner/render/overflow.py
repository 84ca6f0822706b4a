"""Finds content that a laid-out page cuts or overlaps.

A number that leaves its page or its cell looks like another number, so the run fails instead.
Positions and sizes are CSS pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from report_runner.render.weasyprint_shim import attribute_of, children_of, kind_of, page_box

TOLERANCE = 1.5  # of rounding, and of the side bearings of letters
_CONTENT = frozenset(("TextBox", "InlineReplacedBox", "BlockReplacedBox", "ReplacedBox"))


@dataclass(frozen=True, slots=True)
class _Area:
    left: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class _Cell:
    area: _Area
    number: int  # in its row, from 1


def overflow_of(page: Any, number: int) -> str | None:
    """A message about the first content that does not fit on a page; None where all does."""
    return _check(page_box(page), _Area(0, page.width, page.height), None, number)


def _check(box: Any, page: _Area, cell: _Cell | None, number: int) -> str | None:
    kind = kind_of(box)
    if kind in _CONTENT:
        return _problem(box, kind, page, cell, number)
    if box.style["transform"]:
        return None  # it is drawn elsewhere than it stands
    column = 0
    for child in children_of(box):
        inner = cell
        if kind_of(child) == "TableCellBox":
            column += 1
            left = child.position_x
            area = _Area(left, left + child.border_width(), page.bottom)
            inner = _Cell(area, column)
        found = _check(child, page, inner, number)
        if found is not None:
            return found
    return None


def _problem(box: Any, kind: str, page: _Area, cell: _Cell | None, number: int) -> str | None:
    if kind == "TextBox" and not box.text.strip():
        return None
    right, bottom = box.position_x + box.width, box.position_y + box.height
    what = _name(box, kind)
    if right > page.right + TOLERANCE:
        over = right - page.right
        return (
            f"{what} leaves page {number} by {_points(over)} at the right; show fewer or narrower "
            "columns, let its text wrap (overflow-wrap: anywhere), or give it max-width: 100%"
        )
    if bottom > page.bottom + TOLERANCE:
        return (
            f"{what} leaves page {number} by {_points(bottom - page.bottom)} at the bottom; make "
            "it lower, or allow a page break inside of what holds it"
        )
    if cell is None or box.style["position"] in ("absolute", "fixed"):
        return None
    over = max(right - cell.area.right, cell.area.left - box.position_x)
    if over > TOLERANCE:
        return (
            f"{what} in column {cell.number} of a table on page {number} is {_points(over)} wider "
            "than its column; make the column wider, let its text wrap, or show fewer columns"
        )
    return None


def _name(box: Any, kind: str) -> str:
    """The element without its text, which may be data of the report."""
    tag = getattr(box, "element_tag", None) or "text"
    label = attribute_of(box, "alt") or attribute_of(box, "id") or attribute_of(box, "class")
    shown = f"<{tag}>" if kind != "TextBox" else f"a text in <{tag}>"
    return f"{shown} ({label[:60]})" if label else shown


def _points(pixels: float) -> str:
    return f"{pixels * 0.75:.0f} pt"
