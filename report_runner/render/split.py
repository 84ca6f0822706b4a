"""Splits a long document into pieces.

Only rows of long tables are cut points. A piece is the whole document without what lies before
its first row and after its last one: the elements around the table stay, so that styles apply as
they do in the whole, and the table's head is repeated at the top of each piece.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

LONG_TABLE = 600  # rows; shorter tables are never cut
ROW = "data-row"  # on each row of a piece: "TABLE-ROW"
SLOT = "data-slot"  # on the body of a long table in the skeleton: its number
CONTINUED, CONTINUES = "data-continued", "data-continues"

# CSS that has a meaning over the whole document only.
_WHOLE_ONLY = re.compile(
    r"string-set|string\(|running\(|element\(|target-counter|target-text|counter-increment"
    r"|counter-reset|counter-set|:left\b|:right\b|:blank\b|:nth\(|@page\s+[\w-]|footnote"
    r"|(?:^|[;{\s])page\s*:",
    re.IGNORECASE,
)
_FIRST_PAGE = re.compile(r"@page\s*:first", re.IGNORECASE)

_MARGIN_BOXES = [
    *(f"{side}-{end}" for side in ("top", "bottom") for end in ("left-corner", "left", "center",
      "right", "right-corner")),
    *(f"{side}-{end}" for side in ("left", "right") for end in ("top", "middle", "bottom")),
]  # fmt: skip
_NO_MARGIN_BOXES = (
    "@page{" + "".join(f"@{box}{{content:none!important}}" for box in _MARGIN_BOXES) + "}"
)
_SEAMS = (
    f"[{CONTINUED}]{{margin-top:0!important;padding-top:0!important;border-top:0!important;"
    "break-before:auto!important}"
    f"[{CONTINUED}]::before{{content:none!important}}"
    f"[{CONTINUES}]{{margin-bottom:0!important;padding-bottom:0!important;"
    "border-bottom:0!important;break-after:auto!important}"
    f"[{CONTINUES}]::after{{content:none!important}}"
)


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """Before row `row` of long table `table`, both from 0."""

    table: int
    row: int


@dataclass(frozen=True, slots=True)
class LongDocument:
    """The document without the rows of its long tables, and these rows as XML."""

    skeleton: Element
    rows: tuple[Sequence[str], ...]  # per long table
    columns: tuple[int, ...]  # per long table


@dataclass(frozen=True, slots=True)
class Piece:
    """The document from `start` (None: its beginning) to `end` (None: its end)."""

    start: Cut | None
    end: Cut | None
    rows: tuple[tuple[int, int, tuple[str, ...]], ...]  # long table, number of its first row, rows


def _parsed(rows: str) -> Element:
    """Rows that this program wrote itself, escaped: no entity or declaration can be in them."""
    return fromstring(rows)  # noqa: S314


def _style_of(root: Element) -> str:
    styles = [style.text or "" for style in root.iter("style")]
    styles += [element.get("style", "") for element in root.iter() if element.get("style")]
    return "\n".join(styles)


def _parents(root: Element) -> dict[Element, Element]:
    return {child: parent for parent in root.iter() for child in parent}


def _only_body(table: Element) -> Element | None:
    """The one `<tbody>` of a table that may be cut; None where it may not."""
    bodies = [child for child in table if child.tag == "tbody"]
    if len(bodies) != 1 or any(row.tag != "tr" for row in bodies[0]):
        return None
    if any(cell.get("rowspan") for cell in bodies[0].iter() if cell.tag in ("td", "th")):
        return None
    return bodies[0]


def find_long_tables(root: Element, given: dict[str, Sequence[str]]) -> LongDocument | None:
    """Takes the long tables out of a parsed document.

    `given` are rows that are not in the tree: by the value of the attribute `data-table` of the
    body that they belong to. None where there is nothing to cut or the document has to stay whole
    (it uses what has a meaning only there, such as named pages or counters of its own).
    """
    if _WHOLE_ONLY.search(_style_of(root)):
        return None
    body = root.find("body")
    if body is None:
        return None
    parents = _parents(root)
    rows: list[Sequence[str]] = []
    columns: list[int] = []
    for table in body.iter("table"):
        if _inside(table, "table", parents):
            continue
        tbody = _only_body(table)
        if tbody is None:
            continue
        key = tbody.attrib.pop("data-table", None)
        found = given[key] if key is not None else _rows_of(tbody)
        if found is None or len(found) <= LONG_TABLE:
            if key is not None:
                tbody.extend(_parsed(f"<tbody>{''.join(found or ())}</tbody>"))
            continue
        for row in list(tbody):
            tbody.remove(row)
        tbody.set(SLOT, str(len(rows)))
        rows.append(found)
        columns.append(max(found[0].count("<td") + found[0].count("<th"), 1))
    return LongDocument(root, tuple(rows), tuple(columns)) if rows else None


def _rows_of(tbody: Element) -> list[str] | None:
    if len(tbody) <= LONG_TABLE:
        return None
    rows = []
    for row in tbody:
        row.tail = None
        rows.append(tostring(row, encoding="unicode"))
    try:
        _parsed(f"<tbody>{''.join(rows)}</tbody>")
    except ParseError:
        return None  # attributes that only HTML allows
    return rows


def _inside(element: Element, tag: str, parents: dict[Element, Element]) -> bool:
    above = parents.get(element)
    while above is not None:
        if above.tag == tag:
            return True
        above = parents.get(above)
    return False


def _ancestors(element: Element, parents: dict[Element, Element]) -> list[Element]:
    found = []
    above = parents.get(element)
    while above is not None:
        found.append(above)
        above = parents.get(above)
    return found


def _drop_before(element: Element, parents: dict[Element, Element]) -> None:
    here = element
    for above in _ancestors(element, parents):
        if above.tag == "html":
            break
        above.text = None
        for sibling in list(above):
            if sibling is here:
                break
            above.remove(sibling)
        above.set(CONTINUED, "")
        above.attrib.pop("id", None)
        here = above
    element.set(CONTINUED, "")
    element.attrib.pop("id", None)
    for caption in element.findall("caption"):
        element.remove(caption)


def _drop_after(element: Element, parents: dict[Element, Element]) -> None:
    here = element
    for above in _ancestors(element, parents):
        here.tail = None
        if above.tag == "html":
            break
        siblings = list(above)
        for sibling in siblings[siblings.index(here) + 1 :]:
            above.remove(sibling)
        above.set(CONTINUES, "")
        here = above
    element.set(CONTINUES, "")


def _add_style(root: Element, text: str) -> None:
    head = root.find("head")
    if head is None:
        head = Element("head")
        root.insert(0, head)
    SubElement(head, "style").text = text


def piece_tree(skeleton: Element, piece: Piece) -> Element:
    """The document of one piece, without anything in the pages' margins."""
    root = deepcopy(skeleton)
    slots = {int(body.get(SLOT, "")): body for body in root.iter("tbody") if body.get(SLOT)}
    for table, first, rows in piece.rows:
        body = slots[table]
        found = _parsed(f"<tbody>{''.join(rows)}</tbody>")
        if first % 2:
            # Stripes by :nth-child(even) continue from the piece before.
            body.append(Element("tr", {"style": "display:none"}))
        for number, row in enumerate(found, first):
            row.set(ROW, f"{table}-{number}")
        body.extend(found)
    parents = _parents(root)
    if piece.end is not None:
        _drop_after(parents[slots[piece.end.table]], parents)
    if piece.start is not None:
        _drop_before(parents[slots[piece.start.table]], parents)
        for style in root.iter("style"):
            style.text = _FIRST_PAGE.sub("@page no-such-page", style.text or "")
    _add_style(root, _SEAMS + _NO_MARGIN_BOXES)
    return root


def margins_tree(skeleton: Element, pages: int) -> Element:
    """A document of empty pages that has only what stands in the margins of the long one."""
    root = deepcopy(skeleton)
    body = root.find("body")
    if body is None:
        raise ValueError("a document without a body")
    for child in list(body):
        body.remove(child)
    body.text = None
    for _ in range(pages - 1):
        SubElement(body, "div", {"style": "break-after:page"})
    SubElement(body, "div")
    _add_style(root, "@page{background:none!important}html,body{background:none!important}")
    return root


def slice_rows(document: LongDocument, start: Cut | None, end: Cut | None) -> Piece:
    """The piece between two cuts, with its rows."""
    found = []
    for table, rows in enumerate(document.rows):
        first = start.row if start and start.table == table else 0
        last = end.row if end and end.table == table else len(rows)
        if (start and table < start.table) or (end and table > end.table) or first >= last:
            continue
        found.append((table, first, tuple(rows[first:last])))
    return Piece(start, end, tuple(found))
