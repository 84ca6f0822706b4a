"""Bookmarks, links and their targets of pages that are laid out in pieces.

A piece does not know the anchors of the others, so they are kept in a file beside it and written
with the frames of all pages, by the code that writes them for a document that is printed at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from report_runner.render.weasyprint_shim import LinkHolder


def take_marks(page: Any) -> dict[str, Any]:
    """What a page has, ready for JSON; the page has none of it afterwards."""
    marks = {
        "bookmarks": page.bookmarks,
        "links": [link[:3] for link in page.links],
        "anchors": page.anchors,
    }
    page.bookmarks, page.links, page.anchors = [], [], {}
    return marks


def write_marks(path: str, marks: Sequence[dict[str, Any]]) -> None:
    """Keep the marks of a piece's pages."""
    Path(path).write_text(json.dumps(marks), encoding="utf-8")


def read_marks(pages: Sequence[Any], paths: Sequence[str]) -> None:
    """Give the pages of a document the marks of the pieces, beside their own."""
    found = chain.from_iterable(json.loads(Path(path).read_text("utf-8")) for path in paths)
    for page, marks in zip(pages, found, strict=True):
        page.bookmarks += marks["bookmarks"]
        page.links += [(*link, LinkHolder()) for link in marks["links"]]
        page.anchors.update(marks["anchors"])
