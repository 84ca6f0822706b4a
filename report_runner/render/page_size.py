"""The width that a template's `@page` rule leaves for a table.

An estimate for choosing column widths: overflow is detected when the pages are laid out.
"""

from __future__ import annotations

import re

_MILLIMETRE = 72 / 25.4
_UNITS = {"mm": _MILLIMETRE, "cm": 10 * _MILLIMETRE, "in": 72.0, "pt": 1.0, "px": 0.75, "q": 0.7087}
# CSS Paged Media 3, 7.1: width and height in points, upright.
_SIZES = {
    "a3": (297 * _MILLIMETRE, 420 * _MILLIMETRE),
    "a4": (210 * _MILLIMETRE, 297 * _MILLIMETRE),
    "a5": (148 * _MILLIMETRE, 210 * _MILLIMETRE),
    "b4": (250 * _MILLIMETRE, 353 * _MILLIMETRE),
    "b5": (176 * _MILLIMETRE, 250 * _MILLIMETRE),
    "letter": (612.0, 792.0),
    "legal": (612.0, 1008.0),
    "ledger": (792.0, 1224.0),
}
_DEFAULT_MARGIN = 75 * 0.75  # WeasyPrint's own style sheet
_BODY_MARGIN = 8 * 0.75  # likewise
_PAGE_RULE = re.compile(r"@page\s*\{((?:[^{}]|\{[^{}]*\})*)\}", re.IGNORECASE)
_LENGTH = re.compile(r"(-?\d*\.?\d+)(mm|cm|in|pt|px|q)?\b", re.IGNORECASE)
_BODY_WITHOUT_MARGIN = re.compile(r"\bbody\s*\{[^}]*\bmargin\s*:\s*0", re.IGNORECASE)


def page_width(template: str, orientation: str) -> float:
    """Points between the margins of a template's pages.

    `orientation` is what the template's variable of that name says: portrait or landscape.
    """
    template = re.sub(r"\{\{\s*orientation\s*\}\}", orientation, template)
    rules = _PAGE_RULE.findall(_without_jinja(template))
    declarations: dict[str, str] = {}
    for rule in rules:
        for declaration in re.sub(r"@[\w-]+\s*\{[^{}]*\}", "", rule).split(";"):
            name, colon, value = declaration.partition(":")
            if colon:
                declarations[name.strip().lower()] = value.strip().lower()
    width = _size(declarations.get("size", ""))
    left = right = _DEFAULT_MARGIN
    margins = [_points(part) for part in declarations.get("margin", "").split()]
    if margins and None not in margins:
        found = [margin for margin in margins if margin is not None]
        right = found[1] if len(found) > 1 else found[0]
        left = found[3] if len(found) > 3 else right
    left = _first(_points(declarations.get("margin-left", "")), left)
    right = _first(_points(declarations.get("margin-right", "")), right)
    body = 0.0 if _BODY_WITHOUT_MARGIN.search(template) else 2 * _BODY_MARGIN
    return max(width - left - right - body, 72.0)


def _without_jinja(template: str) -> str:
    """The template without statements, its expressions as a word: their braces end no rule."""
    template = re.sub(r"\{%.*?%\}|\{#.*?#\}", " ", template, flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}", "x", template, flags=re.DOTALL)


def _size(value: str) -> float:
    words = value.split()
    lengths = [points for word in words if (points := _points(word)) is not None]
    if lengths:
        return lengths[0]
    width, height = next((_SIZES[word] for word in words if word in _SIZES), _SIZES["a4"])
    return height if "landscape" in words else width


def _points(text: str) -> float | None:
    match = _LENGTH.fullmatch(text.strip())
    if match is None or (match[2] is None and float(match[1]) != 0):
        return None
    return float(match[1]) * _UNITS[(match[2] or "pt").lower()]


def _first(found: float | None, other: float) -> float:
    return other if found is None else found
