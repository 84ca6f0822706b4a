"""Whether a document that is printed in pieces comes out as one that is printed at once.

A piece has the elements around its rows without their content. Style sheets may use what is known
to mean the same there; with anything else the document is printed at once. What depends on
computed styles is checked by the process that lays out the pieces (render.path_check).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any
from xml.etree.ElementTree import Element

import tinycss2
from tinycss2 import nth

_MAX_PERIOD, _MAX_FIXED = 120, 120  # hidden rows are styled for every piece
_MAX_STYLES = 2_000  # each is parsed

_PROPERTIES = frozenset(
    ("counter-increment", "counter-reset", "counter-set", "string-set", "page", "bleed", "marks")
)
_FUNCTIONS = frozenset(
    ("string", "running", "element", "target-counter", "target-counters", "target-text")
)
_COUNTERS = frozenset(("counter", "counters"))
_QUOTES = frozenset(("open-quote", "close-quote", "no-open-quote", "no-close-quote"))
# Values of a property that involve the whole document; "" is any property.
_VALUES = {
    "position": frozenset(("fixed",)),
    "display": frozenset(("list-item",)),
    "float": frozenset(("footnote",)),
    "break-before": frozenset(("left", "right", "recto", "verso")),
    "break-after": frozenset(("left", "right", "recto", "verso")),
    "page-break-before": frozenset(("left", "right")),
    "page-break-after": frozenset(("left", "right")),
    "content": _QUOTES,
}
_NTH = frozenset(("nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type"))
_LISTS = frozenset(("ol", "ul", "menu"))
_OF_HEAD = frozenset(("meta", "link", "title", "base"))


@dataclass(frozen=True, slots=True)
class Siblings:
    """What rules about siblings depend on.

    Rows alike in `number % period` are alike, from the row `fixed` on and up to as many before the
    last.
    """

    period: int = 1
    fixed: int = 1

    def stand_ins(self, rows: int) -> int:
        """How many rows without content take the place of `rows` rows that are left out."""
        if rows <= self.fixed + self.period:
            return rows
        return rows - (rows - self.fixed) // self.period * self.period


class WholeError(Exception):
    """The document has to be printed at once; the text says why, after "because"."""


def sibling_rules(root: Element) -> Siblings:
    """What the pieces have to keep of their siblings. Raises WholeError."""
    check = _Check()
    _check_elements(root)
    styles = {element.get("style", "") for element in root.iter()}
    if len(styles) > _MAX_STYLES:
        raise WholeError("it has thousands of different style attributes")
    try:
        for sheet in root.iter("style"):
            check.rules(tinycss2.parse_stylesheet(sheet.text or "", True, True))
        for text in styles:
            check.block(tinycss2.parse_blocks_contents(text, True, True), "")
    except RecursionError:
        raise WholeError("its style sheet is nested deeply") from None
    if check.period > _MAX_PERIOD or check.fixed > _MAX_FIXED:
        raise WholeError("its style sheet counts siblings with large numbers (:nth-child)")
    return Siblings(check.period, check.fixed)


def _check_elements(root: Element) -> None:
    body = root.find("body")
    for parent in root.iter():
        for child in parent:
            if child.tag == "li" and parent.tag not in _LISTS:
                raise WholeError("it has a <li> outside of a list")
            if "attachment" in child.get("rel", "").lower().split():
                raise WholeError("it has attachments")
            if child.tag == "link" and "stylesheet" in child.get("rel", "").lower().split():
                raise WholeError("it has a style sheet in a <link>")
    for element in body.iter() if body is not None else ():
        if element.tag in _OF_HEAD:
            raise WholeError(f"it has a <{element.tag}> outside of <head>")


class _Check:
    def __init__(self) -> None:
        self.period = 1
        self.fixed = 1

    def rules(self, rules: Iterable[Any]) -> None:
        """Rules of a style sheet, or of an `@media` in it."""
        for rule in rules:
            if rule.type == "qualified-rule":
                self.rule(rule)
            elif rule.type == "at-rule":
                self.at_rule(rule)

    def rule(self, rule: Any) -> None:
        self.selectors(rule.prelude)
        self.block(tinycss2.parse_blocks_contents(rule.content, True, True), "")

    def at_rule(self, rule: Any) -> None:
        name = rule.lower_at_keyword
        if name == "media" and rule.content is not None:
            self.rules(tinycss2.parse_rule_list(rule.content, True, True))
        elif name == "page":
            prelude = tinycss2.serialize(rule.prelude).strip().lower()
            if prelude not in ("", ":first"):
                raise WholeError(f"its style sheet uses @page {prelude}")
            self.block(tinycss2.parse_blocks_contents(rule.content or (), True, True), "page")
        elif name not in ("font-face", "charset"):
            raise WholeError(f"its style sheet uses @{name}")

    def block(self, contents: Iterable[Any], place: str) -> None:
        """Declarations and nested rules; `place` is "page" inside of a page's rule."""
        for one in contents:
            if one.type == "declaration":
                self.declaration(one, place)
            elif one.type == "qualified-rule":
                self.rule(one)
            elif one.type == "at-rule" and place and one.content is not None:
                self.block(tinycss2.parse_blocks_contents(one.content, True, True), place)
            elif one.type == "at-rule":
                self.at_rule(one)

    def declaration(self, declaration: Any, place: str) -> None:
        name = declaration.lower_name
        if name in _PROPERTIES or name.startswith("footnote"):
            raise WholeError(f"its style sheet uses {name}")
        # What is in a variable may be meant for any property.
        values = (
            frozenset().union(*_VALUES.values()) if name.startswith("--") else _VALUES.get(name)
        )
        for token in _flat(declaration.value):
            if token.type == "function":
                function = token.lower_name
                if function in _FUNCTIONS or (function in _COUNTERS and not place):
                    raise WholeError(f"its style sheet uses {function}()")
            elif token.type == "ident" and values and token.lower_value in values:
                raise WholeError(f"its style sheet uses {name}: {token.lower_value}")

    def selectors(self, prelude: Sequence[Any]) -> None:
        neighbours = 0
        before = None
        for token in _flat(prelude, functions=False):
            before, last = token, before
            if token.type == "literal" and token.value == "~":
                raise WholeError("its style sheet uses the selector ~")
            if token.type == "literal" and token.value == ",":
                neighbours = 0
            if token.type == "literal" and token.value == "+":
                neighbours += 1
                if neighbours > 1:
                    raise WholeError("its style sheet uses the selector + twice in a rule")
            if token.type == "ident" and token.lower_value == "empty" and last == ":":
                raise WholeError("its style sheet uses :empty")
            if token.type == "[] block" and _names_style(token):
                raise WholeError("its style sheet uses the selector [style]")
            if token.type != "function":
                continue
            if token.lower_name == "has":
                raise WholeError("its style sheet uses :has()")
            if token.lower_name in _NTH:
                self.count(token)
            else:
                self.selectors(token.arguments)

    def count(self, token: Any) -> None:
        found = nth.parse_nth(token.arguments)
        if found is None:
            raise WholeError(f"its style sheet uses :{token.lower_name}() of some elements")
        step, offset = found
        self.period = lcm(self.period, abs(step) or 1)
        self.fixed = max(self.fixed, abs(offset) + 1)


def _names_style(block: Any) -> bool:
    return any(part.type == "ident" and part.lower_value == "style" for part in block.content)


def _flat(tokens: Iterable[Any], *, functions: bool = True) -> Iterator[Any]:
    """Tokens and those inside of blocks, and of functions where wanted."""
    for token in tokens:
        yield token
        if token.type == "function" and functions:
            yield from _flat(token.arguments, functions=functions)
        elif token.type in ("() block", "{} block"):
            yield from _flat(token.content, functions=functions)
