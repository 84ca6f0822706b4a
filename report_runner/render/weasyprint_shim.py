"""The private parts of WeasyPrint that the PDF writer needs, each in one function.

`tests/unit/test_render_weasyprint_shim.py` fails when a version moves one of them, and says what
to look for then.
"""

from __future__ import annotations

from collections.abc import Iterator
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
