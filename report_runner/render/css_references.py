"""What a style sheet asks to be loaded, read as a browser reads it: escapes and comments too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import tinycss2

_css: Any = tinycss2  # it has no types
_WORTH_READING = re.compile(r"url|@import|src|image|\\", re.IGNORECASE)
_URLS = ("url", "src")
_IMAGE_SETS = ("image-set", "-webkit-image-set")
_BLOCKS = ("{} block", "() block", "[] block")

Reference = tuple[str, str]  # kind (style, font, image) and URL


def sheet_references(text: str) -> Iterator[Reference]:
    """Of a style sheet."""
    if _WORTH_READING.search(text):
        yield from _walk(_css.parse_stylesheet(text, skip_comments=True), "image")


def declaration_references(text: str) -> Iterator[Reference]:
    """Of the declarations in an attribute."""
    if _WORTH_READING.search(text):
        yield from _walk(_css.parse_component_value_list(text, skip_comments=True), "image")


def _walk(nodes: Sequence[Any] | None, kind: str) -> Iterator[Reference]:
    for node in nodes or ():
        if node.type == "at-rule":
            yield from _at_rule(node)
        elif node.type == "qualified-rule":
            yield from _walk(node.content, kind)
        elif node.type == "url":
            yield kind, node.value
        elif node.type == "function":
            yield from _function(node, kind)
        elif node.type in _BLOCKS:
            yield from _walk(node.content, kind)


def _at_rule(rule: Any) -> Iterator[Reference]:
    name = rule.lower_at_keyword
    if name == "import":
        yield from (("style", node.value) for node in rule.prelude if node.type == "string")
        yield from _walk(rule.prelude, "style")
    elif name != "namespace":  # that names a language, and nothing is loaded
        content = rule.content
        if content and name in ("media", "supports", "layer", "container"):
            content = _css.parse_rule_list(content, skip_comments=True)
        yield from _walk(content, "font" if name == "font-face" else "image")


def _function(node: Any, kind: str) -> Iterator[Reference]:
    texts = [argument.value for argument in node.arguments if argument.type == "string"]
    if node.lower_name in _URLS:
        yield from ((kind, text) for text in texts[:1])
    elif node.lower_name in _IMAGE_SETS:
        yield from ((kind, text) for text in texts)
        yield from _walk(node.arguments, kind)
    else:
        yield from _walk(node.arguments, kind)
