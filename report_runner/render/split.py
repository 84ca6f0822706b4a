"""Splits a long document into pieces.

Only rows of long tables are cut points. A piece has all elements around its rows, so that styles
apply as they do in the whole; those that lie before its first row or after its last one have no
content and no box. One row before the piece stands on a page of its own, which is not kept: so the
table is continued in the piece as it is in the whole. One row after it shows where its last page
ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

from report_runner.render.split_check import Siblings, WholeError, sibling_rules

LONG_TABLE = 600  # rows; shorter tables are never cut
ROW = "data-runner-row"  # on each row of a piece: "TABLE-ROW"
SLOT = "data-runner-slot"  # on the body of a long table in the skeleton: its number
_HIDDEN = "display:none!important"

# Elements of the frames' document, that no author's rule is about by name.
_BLANK = "x-blank-page"
_BARE = (
    "display:block!important;float:none!important;position:static!important;margin:0!important;"
    "padding:0!important;border:0!important;width:auto!important;height:auto!important;"
    "min-height:0!important;break-inside:auto!important;break-before:auto!important;"
    "background:none!important;outline:none!important;columns:auto!important;"
    "transform:none!important;"
)

_MARGIN_BOXES = [
    *(f"{side}-{end}" for side in ("top", "bottom") for end in ("left-corner", "left", "center",
      "right", "right-corner")),
    *(f"{side}-{end}" for side in ("left", "right") for end in ("top", "middle", "bottom")),
]  # fmt: skip
_NO_MARGIN_BOXES = (
    "@page{" + "".join(f"@{box}{{content:none!important}}" for box in _MARGIN_BOXES) + "}"
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
    siblings: Siblings


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a long table."""

    table: int
    first: int  # number of the first of them
    left: int  # how many come after them
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The document from `start` (None: its beginning) to `end` (None: its end).

    `rows` begin with the row before `start` and end with the row `end`.
    """

    start: Cut | None
    end: Cut | None
    rows: tuple[Rows, ...]
    siblings: Siblings


def _parsed(rows: str) -> Element:
    """Rows that this program wrote itself, escaped: no entity or declaration can be in them."""
    return fromstring(rows)  # noqa: S314


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

    `given` are rows of long tables that are not in the tree, by the value of the attribute
    `data-table` of the body that they belong to. None where there is nothing to cut. Raises
    WholeError.
    """
    body = root.find("body")
    if body is None:
        return None
    parents = _parents(root)
    rows: list[Sequence[str]] = []
    missing = dict(given)
    siblings = None
    for table in body.iter("table"):
        if _inside(table, "table", parents):
            continue
        tbody = _only_body(table)
        if tbody is None:
            continue
        found = missing.pop(tbody.get("data-table", ""), None)
        if found is not None:
            del tbody.attrib["data-table"]
        else:
            found = _rows_of(tbody)
        if found is None:
            continue
        siblings = siblings or sibling_rules(root)
        for row in list(tbody):
            tbody.remove(row)
        tbody.set(SLOT, str(len(rows)))
        rows.append(found)
    if missing:
        raise WholeError("a long table stands inside of another table")
    return LongDocument(root, tuple(rows), siblings) if siblings else None


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


def _styled(element: Element, style: str) -> None:
    """Adds declarations that win over all others."""
    given = element.get("style", "").rstrip(" ;")
    element.set("style", f"{given};{style}" if given else style)


def _empty(element: Element) -> None:
    """Takes the content and the box of an element; its style sheets are those of the document."""
    sheets = list(element.iter("style")) if element.tag != "style" else []
    if element.tag == "style":
        return
    for child in list(element):
        element.remove(child)
    element.text = None
    element.extend(sheets)
    _styled(element, _HIDDEN)


def _empty_beside(element: Element, parents: dict[Element, Element], *, before: bool) -> None:
    """Empties all that comes before an element, or after it, in the body."""
    here = element
    while here.tag not in ("body", "html") and here in parents:
        above = parents[here]
        siblings = list(above)
        place = siblings.index(here)
        if before:
            above.text = None
        else:
            here.tail = None
        for sibling in siblings[:place] if before else siblings[place + 1 :]:
            sibling.tail = None
            if above.tag != "table":  # columns, head and foot are on every page of a table
                _empty(sibling)
        here = above


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
    for part in piece.rows:
        body = slots[part.table]
        found = _parsed(f"<tbody>{''.join(part.rows)}</tbody>")
        for number, row in enumerate(found, part.first):
            row.set(ROW, f"{part.table}-{number}")
            if piece.start == Cut(part.table, number):
                _styled(row, "break-before:page!important")
        body.extend(_stand_ins(piece.siblings.stand_ins(part.first)))
        body.extend(found)
        body.extend(_stand_ins(piece.siblings.stand_ins(part.left)))
    parents = _parents(root)
    if piece.end is not None:
        _empty_beside(slots[piece.end.table], parents, before=False)
    if piece.start is not None:
        _empty_beside(slots[piece.start.table], parents, before=True)
    _add_style(root, _NO_MARGIN_BOXES)
    return root


def _stand_ins(count: int) -> list[Element]:
    return [Element("tr", {"style": _HIDDEN}) for _ in range(count)]


def margins_tree(skeleton: Element, pages: int) -> Element:
    """A document of empty pages that has only what stands in the margins of the long one."""
    root = deepcopy(skeleton)
    body = root.find("body")
    if body is None:
        raise ValueError("a document without a body")
    for child in list(body):
        if child.tag != "style":
            body.remove(child)
        child.tail = None
    body.text = None
    for element in (root, body):
        _styled(element, _BARE)
    for number in range(1, pages + 1):
        after = "page" if number < pages else "auto"
        SubElement(body, _BLANK, {"style": f"{_BARE}break-after:{after}!important"})
    _add_style(
        root,
        "@page{background:none!important;border-color:transparent!important;"
        "outline-color:transparent!important}",
    )
    return root


def slice_rows(document: LongDocument, start: Cut | None, end: Cut | None) -> Piece:
    """The piece between two cuts, with its rows."""
    found = []
    for table, rows in enumerate(document.rows):
        if (start and table < start.table) or (end and table > end.table):
            continue
        first = start.row - 1 if start and start.table == table else 0
        last = end.row + 1 if end and end.table == table else len(rows)
        found.append(Rows(table, first, len(rows) - last, tuple(rows[first:last])))
    return Piece(start, end, tuple(found), document.siblings)
