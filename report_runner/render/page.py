"""The HTML document: one self-contained file that loads nothing."""

from __future__ import annotations

import re
from collections.abc import Container

from report_runner.render.template import Page

# Inline styles and data: images only; no script, no request, no form, no other base.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
# A browser parses this before the author's markup, so it is always in the real head:
# a second doctype, html or head is a parse error that changes nothing (HTML, 13.2.6.4.4).
_BEGINNING = (
    '<!doctype html><html><head><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    # Otherwise a browser resolves the host names of all links while it shows the page.
    '<meta http-equiv="x-dns-prefetch-control" content="off">'
)
# A policy does not prevent these: a meta element that navigates, a link that connects or looks up
# names, and the connection that a browser opens for a form or frame before it asks the policy.
# No element of these names can arise without its name written out after a "<", wherever a parser
# finds it, so this does not depend on how a browser parses.
_BEYOND_POLICY = re.compile(
    r"<(?=(?:meta|link|base|form|iframe|frame|frameset|object|embed|fencedframe|portal)"
    r"(?:[\s/>]|$))",
    re.IGNORECASE,
)
# Like most of those, this element is parsed in place without ending the head; it does nothing.
_IGNORED = "<basefont data-was-"
_PREAMBLE = re.compile(r"[\ufeff\s]*(?:<!doctype[^>]*>\s*)?", re.IGNORECASE)


def expand(page: Page) -> str:
    """The markup with every table where its placeholder was."""
    return fold(page, ())


def fold(page: Page, left_out: Container[str]) -> str:
    """As `expand`, but these tables (TOKEN-NUMBER) have an empty body that bears the name."""
    pieces = re.split(rf'<table data-table="{page.token}-(\d+)"></table>', page.markup)
    out: list[str] = []
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            out.append(piece)
        else:
            table = page.tables[int(piece)]
            if f"{page.token}-{piece}" in left_out:
                head = table.head.removesuffix("<tbody>")
                mark = f"{page.token}-{piece}"
                out += [head, f'<tbody data-table="{mark}">', table.tail]
            else:
                out += [table.head, *table.rows, table.tail]
    return "".join(out)


def with_policy(html: str) -> str:
    """The document behind a head of the runner's own with a content security policy.

    Its own meta, link and base elements, forms and frames are put out of use.
    """
    body = html[_PREAMBLE.match(html).end() :]  # type: ignore[union-attr]  # it matches ""
    return _BEGINNING + _BEYOND_POLICY.sub(_IGNORED, body)
