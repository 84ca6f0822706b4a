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


def descendants(box: Any) -> Iterator[Any]:
    """A box and all boxes inside of it, in their order."""
    yield box
    for child in children_of(box):
        yield from descendants(child)
