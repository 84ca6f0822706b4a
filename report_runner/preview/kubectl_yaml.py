"""YAML as kubectl and the API server read it: go-yaml v2, then JSON (sigs.k8s.io/yaml).

17:30 and 2026-11-20 are texts, 2e6 is 2000000, 017 is 15, yes and y are true, keys are texts, and
the keys of an object come back in alphabetical order. Stricter than kubectl in one thing: a key
that occurs twice is refused, where kubectl takes the last one without a word.
"""

from __future__ import annotations

import base64
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from report_runner.models import RunError
from report_runner.preview.problem import wrong

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_BOOLEANS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LARGEST = 1 << 63
_WRITTEN_OUT = 10**21  # from here on Go writes an exponent
_TAG = "tag:yaml.org,2002:"
_TYPES = {
    "int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),),
}  # fmt: skip


class YamlLoader(yaml.BaseLoader):
    """PyYAML's, where it differs from go-yaml; a tag is only what is written."""

    ESCAPE_REPLACEMENTS = {  # type: ignore[misc]  # noqa: RUF012
        key: value for key, value in yaml.BaseLoader.ESCAPE_REPLACEMENTS.items() if key != "/"
    }

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002
        return ""

    def compose_document(self) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "version", None) or getattr(event, "tags", None):
            raise yaml.composer.ComposerError(
                None, None, "directives (%YAML, %TAG) are not possible", event.start_mark
            )
        return super().compose_document()

    def compose_scalar_node(self, anchor: Any) -> Any:
        tag = self.peek_event().tag  # type: ignore[no-untyped-call]
        node = super().compose_scalar_node(anchor)
        if tag == "!":
            node.tag = f"{_TAG}str"
        return node

    def scan_to_next_token(self) -> None:
        """PyYAML's own, with the tabs that go-yaml takes: after something on the same line."""
        found = False
        while not found:
            while self.peek() == " " or (
                self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)
            ):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0\r\n\x85\u2028\u2029":
                    self.forward()
            if self.scan_line_break():  # type: ignore[no-untyped-call]
                if not self.flow_level:
                    self.allow_simple_key = True
            else:
                found = True


def _place(node: yaml.Node, path: Path) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def plain_value(node: yaml.Node, path: Path) -> Any:
    """The JSON value of a node. Raises RunError."""
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path)
    if isinstance(node, yaml.SequenceNode):
        return [plain_value(item, path) for item in node.value]
    found: dict[str, Any] = {}
    own: set[str] = set()
    for key, value in node.value:
        inner = plain_value(value, path)
        if key.value == "<<" and key.style is None:
            # What is merged later goes before what is written earlier, and not the other way.
            for part in reversed(inner if isinstance(inner, list) else [inner]):
                if not isinstance(part, dict):
                    raise wrong(f"{_place(value, path)}: << takes an object, or a list of objects")
                found.update(part)
            continue
        name = _key(key, path)
        if name in own:
            raise wrong(f"{_place(key, path)}: the key {name} occurs twice")
        own.add(name)
        found[name] = inner
    return dict(sorted(found.items()))


def _key(node: yaml.Node, path: Path) -> str:
    value = _scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
    if value is None:
        raise wrong(f"{_place(node, path)}: a key has to be a text")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(node: yaml.ScalarNode, path: Path) -> Any:
    text = str(node.value)
    if not node.tag:
        return text if node.style is not None else _resolved(text, node, path)
    kind = node.tag.removeprefix(_TAG)
    if kind == "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
        except ValueError:
            raise wrong(f"{_place(node, path)}: !!binary has to be base64") from None
    if kind in _TYPES:
        value = _resolved(text, node, path)
        if type(value) not in _TYPES[kind] or (kind == "int" and not _INTEGER.fullmatch(text)):
            raise wrong(f"{_place(node, path)}: {text[:60]!r} is none of !!{kind}")
        return value
    return text


def _resolved(text: str, node: yaml.Node, path: Path) -> Any:
    """A plain text → what YAML 1.1 takes it for."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if _NO_NUMBER.fullmatch(text):
        raise _no_number(text, node, path)
    bare = text.replace("_", "") if text[:1] in "+-.0123456789" else text
    if _INTEGER.fullmatch(bare):
        number = _integer(bare)
        if -_LARGEST <= number < _LARGEST:
            return number
        if bare.lstrip("+-")[1:2].lower() in ("x", "b", "o"):
            # Beyond 64 bits a text; what has 64 without a sign becomes a float at the API server.
            return _rounded(float(number)) if 0 <= number < 2 * _LARGEST else text
    if _FLOAT.fullmatch(bare):
        value = float(bare)
        return text if math.isinf(value) else _rounded(value)
    return text


def _integer(bare: str) -> int:
    digits = bare.lstrip("+-")
    if digits.isdigit() and len(digits) > 1000:  # beyond what int() reads
        return _LARGEST * 2
    octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    return int(digits, 8 if octal else 0) * (-1 if bare[0] == "-" else 1)


def _rounded(value: float) -> int | float:
    """A float as Go writes it: 2e6 and 1.0 are 2000000 and 1, 2**64 is 18446744073709552000."""
    whole = value.is_integer() and abs(value) < _WRITTEN_OUT
    return int(Decimal(repr(value))) if whole else value


def _no_number(text: str, node: yaml.Node, path: Path) -> RunError:
    return wrong(
        f"{_place(node, path)}: {text} is no number of JSON: write it as a text, in quotes"
    )
