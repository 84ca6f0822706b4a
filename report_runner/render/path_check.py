"""Whether what is around a long table lets it go on from one piece to the next.

Computed styles are known where a piece is laid out. A table continues in the next piece as it does
on the next page if the boxes around it are plain blocks, and no size depends on rows of other
pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from report_runner.render.split import ROW
from report_runner.render.split_check import WholeError
from report_runner.render.weasyprint_shim import attribute_of, children_of, kind_of, style_of

_PLAIN = frozenset(("BlockBox", "TableBox", "TableRowGroupBox", "TableRowBox"))
_USUAL: dict[str, tuple[object, ...]] = {
    "float": ("none",),
    "position": ("static",),
    "transform": ("none", ()),
    "height": ("auto",),
    "column_width": ("auto",),
    "column_count": ("auto",),
}


def check_path(page: Any, seen: set[str]) -> None:
    """Checks the boxes around each long table of a page whose number is not in `seen` yet.

    Raises WholeError.
    """
    for path in _paths(page, ()):
        table = (attribute_of(path[-1], ROW) or "").partition("-")[0]
        if table in seen:
            continue
        seen.add(table)
        for box in path[1:-1]:
            _check_box(box)


def _paths(box: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The boxes from the page to the first row of each group of rows."""
    here = (*above, box)
    for child in children_of(box):
        if kind_of(child) == "TableRowBox":
            if attribute_of(child, ROW) is not None:
                yield (*here, child)
                return
        else:
            yield from _paths(child, here)


def _check_box(box: Any) -> None:
    kind, style = kind_of(box), style_of(box)
    name = f"<{getattr(box, 'element_tag', None)}>"
    if kind not in _PLAIN or "list-item" in style["display"]:
        raise WholeError(f"a long table stands in {name}, which is no plain block")
    if kind == "TableRowGroupBox":
        return
    for prop, usual in _USUAL.items():
        if style[prop] not in usual:
            raise WholeError(
                f"{name} around its long table has the property {prop.replace('_', '-')}"
            )
    if style["min_height"] != "auto" and style["min_height"].value:
        raise WholeError(f"{name} around its long table has the property min-height")
    if kind == "TableBox":
        _check_table(box, style)


def _check_table(box: Any, style: Any) -> None:
    if style["table_layout"] != "fixed" or style["width"] == "auto":
        raise WholeError(
            "the columns of its long table are as wide as the longest of all its texts (with "
            "table-layout: fixed, a width of the table and of its columns it can be printed in "
            "pieces)"
        )
    has_head = any(getattr(child, "is_header", False) for child in children_of(box))
    if not has_head and not box.column_groups:
        raise WholeError("the columns of its long table get their widths from its first row")
