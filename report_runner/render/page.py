"""HTML as one file of its own: tables put in place, nothing outside it ever loaded."""

from __future__ import annotations

import re
from collections.abc import Container

from report_runner.render.template import Page

# Inline styles and data: images only; no script, no request, no form, no other base.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_META = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
_HEAD = re.compile(r"<head(\s[^>]*)?>", re.IGNORECASE)
_START = re.compile(r"\s*(<!doctype[^>]*>)?\s*(<html(\s[^>]*)?>)?", re.IGNORECASE)


def expand(page: Page) -> str:
    """The markup with every table where its placeholder was."""
    return fold(page, ())


def fold(page: Page, left_out: Container[str]) -> str:
    """As `expand`, but the tables with these numbers have an empty body that bears its number."""
    pieces = re.split(rf'<table data-table="{page.token}-(\d+)"></table>', page.markup)
    out: list[str] = []
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            out.append(piece)
        else:
            table = page.tables[int(piece)]
            if piece in left_out:
                head = table.head.removesuffix("<tbody>")
                out += [head, f'<tbody data-table="{piece}">', table.tail]
            else:
                out += [table.head, *table.rows, table.tail]
    return "".join(out)


def with_policy(html: str) -> str:
    """The document with a content security policy as the first thing in its head."""
    found = _HEAD.search(html[:100_000])
    if found:
        return html[: found.end()] + _META + html[found.end() :]
    start = _START.match(html)
    at = start.end() if start else 0
    return f"{html[:at]}<head>{_META}</head>{html[at:]}"
