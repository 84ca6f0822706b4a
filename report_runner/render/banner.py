"""The warnings of checks on the first page of a document whose template does not show them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import meta
from markupsafe import escape

from report_runner.contract.templating import template_environment

HEADING = "Mind these figures:"
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_STYLE = (
    "border-left: 3pt solid #b3303f; background: #fbeff0; color: #1b2a3d; padding: 5pt 9pt; "
    "margin: 0 0 9pt; overflow-wrap: anywhere"
)


def names_warnings(template: str) -> bool:
    """Whether the template uses the list `warnings` itself."""
    tree = template_environment().parse(template)
    return "warnings" in meta.find_undeclared_variables(tree)


def with_banner(markup: str, warnings: Sequence[str]) -> str:
    """At the beginning of the body, or of a page that has no such element."""
    lines = "".join(f"<div>{escape(warning)}</div>" for warning in warnings)
    banner = f'<div style="{_STYLE}"><b>{HEADING}</b>{lines}</div>'
    found = _BODY.search(markup) or _DOCTYPE.match(markup)
    place = found.end() if found else 0
    return markup[:place] + banner + markup[place:]
