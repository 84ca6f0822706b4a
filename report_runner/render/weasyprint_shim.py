"""The private parts of WeasyPrint that the PDF writer needs, each in one function.

`tests/unit/test_render_weasyprint_shim.py` fails when a version moves one of them, and says what
to look for then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

TESTED_VERSION = "70"


def page_box(page: Any) -> Any:
    """The root box of a laid-out page (`weasyprint.document.Page._page_box`)."""
    return page._page_box


def replace_tree(document: Any, root: Element) -> None:
    """Give an HTML document a tree that is parsed already (`HTML.wrapper_element`).

    Writing the tree and parsing it again would take a third of the time of a piece.
    """
    import cssselect2

    wrap: Any = cssselect2.ElementWrapper.from_html_root  # type: ignore[attr-defined]
    document.wrapper_element = wrap(root, content_language=None)
    document.etree_element = document.wrapper_element.etree_element


def kind_of(box: Any) -> str:
    """The class of a box, such as TextBox or TableCellBox (`weasyprint.formatting_structure`)."""
    return type(box).__name__


def children_of(box: Any) -> tuple[Any, ...]:
    """The boxes inside; none of a text or an image."""
    return tuple(getattr(box, "children", None) or ())


def attribute_of(box: Any, name: str) -> str | None:
    """An attribute of the element that a box was made for."""
    element = getattr(box, "element", None)
    return element.get(name) if element is not None and hasattr(element, "get") else None


def style_of(box: Any) -> Any:
    """The computed style of a box: a mapping from names such as `table_layout`."""
    return box.style


class LinkHolder:
    """Stands for the box of a link in a page of another document (`pdf.anchors.add_links`)."""

    link_annotation: Any = None


def report_lost_texts(report: Callable[[str], None]) -> None:
    """Calls `report` with the tag of an element whose text no page has (`weasyprint.document`).

    WeasyPrint forgets what comes after the end of a page in a box with a height of its own
    (`layout.block.block_container_layout`), and says nothing.
    """
    from weasyprint import document

    original: Any = document.layout_document  # type: ignore[attr-defined]

    def layout_document(html: Any, root: Any, *rest: Any) -> list[Any]:
        held = list(_inside_heights(root, False))
        wanted = _letters(held)
        pages: list[Any] = list(original(html, root, *rest))
        if held:
            shown = _letters(box for page in pages for box in _texts(page))
            for box in held:
                if shown[id(box.element)] < wanted[id(box.element)]:
                    report(str(box.element_tag))
                    break
        return pages

    document.layout_document = layout_document  # type: ignore[attr-defined]


def _letters(texts: Iterable[Any]) -> Counter[int]:
    """How many letters each element has; lines begin and end without spaces."""
    found: Counter[int] = Counter()
    for box in texts:
        found[id(box.element)] += len("".join(box.text.replace("\N{SOFT HYPHEN}", "").split()))
    return found


def _texts(box: Any) -> Iterator[Any]:
    if hasattr(box, "text"):
        yield box
    for child in children_of(box):
        yield from _texts(child)


def _inside_heights(box: Any, inside: bool) -> Iterator[Any]:
    """The texts inside of boxes with a height of their own."""
    if inside and hasattr(box, "text"):
        yield box
    inside = inside or box.style["height"] != "auto"
    for child in children_of(box):
        yield from _inside_heights(child, inside)


class _WholeText(str):
    """A text whose only letter, for who iterates over it, is all of it."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        yield str(self)


def lay_out_svg_texts_whole() -> None:
    """Let a text of an SVG be shaped as a whole (`weasyprint.svg.TAGS`).

    WeasyPrint places each letter by itself, which sets Hebrew and Arabic in reverse and leaves
    Arabic letters unjoined and emoji of several characters in pieces. Texts whose letters have
    places of their own stay as they are.
    """
    from weasyprint import svg

    original = svg.TAGS["text"]

    def draw_text(image: Any, node: Any, font_size: float) -> None:
        places = (node.get(name, "").replace(",", " ").split() for name in ("x", "y", "dx", "dy"))
        spaced = node.get("letter-spacing") or node.get("textLength") or node.get("rotate")
        if node.text and not spaced and all(len(place) <= 1 for place in places):
            node._etree_node.text = _WholeText(node.text)
        original(image, node, font_size)  # type: ignore[no-untyped-call]

    svg.TAGS.update({name: draw_text for name, drawn in svg.TAGS.items() if drawn is original})
    svg.text = draw_text  # type: ignore[attr-defined]  # which it compares with
