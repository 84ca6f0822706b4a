"""A canary over WeasyPrint's private parts.

When one of these fails after an upgrade: read weasyprint/document.py (class Page), the classes of
weasyprint/formatting_structure/boxes.py, and HTML in weasyprint/__init__.py, and mend
report_runner/render/weasyprint_shim.py alone; then raise its TESTED_VERSION.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tinyhtml5
import weasyprint

from report_runner.render import weasyprint_shim as shim


def descendants(box: Any) -> Iterator[Any]:
    """A box and all boxes inside of it, in their order."""
    yield box
    for child in shim.children_of(box):
        yield from descendants(child)


HTML = '<p id="p">one <b>two</b></p><table><tr><td class="n">3</td></tr></table>'


def test_the_version_is_one_that_was_tried() -> None:
    assert weasyprint.__version__.split(".")[0] == shim.TESTED_VERSION


def test_boxes_of_a_page_are_found() -> None:
    (page,) = weasyprint.HTML(string=HTML).render().pages
    boxes = list(descendants(shim.page_box(page)))
    kinds = {shim.kind_of(box) for box in boxes}
    assert {"PageBox", "BlockBox", "TextBox", "TableBox", "TableRowBox", "TableCellBox"} <= kinds
    texts = {box.text: box for box in boxes if shim.kind_of(box) == "TextBox"}
    assert texts.keys() >= {"two", "3"}
    cell = next(box for box in boxes if shim.kind_of(box) == "TableCellBox")
    assert shim.attribute_of(cell, "class") == "n"
    assert shim.children_of(texts["3"]) == ()
    text = texts["3"]
    assert cell.position_x <= text.position_x
    assert text.position_x + text.width <= cell.position_x + cell.border_width() <= page.width
    assert text.position_y + text.height <= page.height


def test_a_parsed_tree_takes_the_place_of_a_document() -> None:
    document = weasyprint.HTML(string="<html></html>")
    tree = tinyhtml5.parse(HTML, namespace_html_elements=False)
    shim.replace_tree(document, tree)
    (page,) = document.render().pages
    texts = [b.text for b in descendants(shim.page_box(page)) if shim.kind_of(b) == "TextBox"]
    assert "two" in texts


def test_a_text_that_is_forgotten_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weasyprint.document, "layout_document", weasyprint.document.layout_document)
    lost: list[str] = []
    shim.report_lost_texts(lost.append)
    weasyprint.HTML(string='<div style="height:9mm">' + "<p>line" * 90 + "</div>").render()
    assert lost == ["p"]
