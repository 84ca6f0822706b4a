"""Warnings above a report: whatever its template is, its readers see them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import escape

_STYLE = (
    "border:1pt solid #b3261e;border-left-width:4pt;padding:4pt 8pt;margin:0 0 8pt;"
    "font:9pt sans-serif;color:#1b2a3d;background:#fdf3f2"
)
# Where the body begins: behind its tag, else behind the head. What is in a comment is not there.
_COMMENT_OR_BODY = re.compile(r"<!--.*?-->|(<body\b[^>]*>)", re.DOTALL | re.IGNORECASE)
_COMMENT_OR_HEAD = re.compile(r"<!--.*?-->|(</head\s*>)", re.DOTALL | re.IGNORECASE)


def with_warnings(markup: str, warnings: Sequence[str]) -> str:
    """The page with a box for each warning at its beginning."""
    if not warnings:
        return markup
    boxes = "".join(
        f'<p class="report-warning" style="{_STYLE}"><b>Warning:</b> {escape(warning)}</p>'
        for warning in warnings
    )
    for pattern in (_COMMENT_OR_BODY, _COMMENT_OR_HEAD):
        found = next((m for m in pattern.finditer(markup) if m.group(1)), None)
        if found is not None:
            return markup[: found.end()] + boxes + markup[found.end() :]
    return boxes + markup
