"""YAML as kubectl reads it (sigs.k8s.io/yaml), with the place of every field.

What the API server stores is JSON: 17:30 and 2026-11-20 are texts, 2e6 is 2000000, yes and y are
true, keys are texts, and the keys of an object come back in alphabetical order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from report_runner.contract.reasons import Reason
from report_runner.models import RunError

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_BOOLEANS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]+)\]")


def wrong(message: str) -> RunError:
    """What the author can mend."""
    return RunError(Reason.CONFIGURATION_ERROR, message)


def read_text(path: Path) -> str:
    """A file's text. Raises RunError, with line and column of what is no UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise wrong(f"{path}: {error.strerror}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise wrong(f"{path}:1:1: the file is UTF-16: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(data, error.start)
        raise wrong(
            f"{path}:{line}:{column}: the file is not UTF-8 (byte 0x{data[error.start]:02x}): "
            "save it as UTF-8"
        ) from None
    if "\0" in text:
        line, column = _position(data, data.index(b"\0"))
        raise wrong(f"{path}:{line}:{column}: the file has a NUL byte: it is no text")
    return text


def _position(data: bytes, index: int) -> tuple[int, int]:
    before = data[:index]
    return before.count(b"\n") + 1, index - (before.rfind(b"\n") + 1) + 1


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One object of a file."""

    path: Path
    node: yaml.Node
    body: Any

    def place(self, field: str) -> str:
        """`file:line:column` of a field such as `spec.report.charts[c].spec`, or its parent's."""
        mark, _ = self._find(_STEP.findall(field))
        return f"{self.path}:{mark.line + 1}:{mark.column + 1}"

    def place_in_text(self, steps: Sequence[str], line: int, column: int) -> str:
        """`file:line:column` of a line of a text, such as a template in a ConfigMap."""
        mark, node = self._find([(step, "") for step in steps])
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            # The text begins on the line after the bar, with the indentation of its first line.
            written = _lines(self.path)
            first = node.start_mark.line + 1
            indented = next((one for one in written[first:] if one.strip()), "")
            indent = len(indented) - len(indented.lstrip(" "))
            return f"{self.path}:{first + line}:{indent + column}"
        return f"{self.path}:{mark.line + 1}:{mark.column + 1}"

    def _find(self, steps: Sequence[tuple[str, str]]) -> tuple[Any, Any]:
        """Mark and node of the last step that is there."""
        node: Any = self.node
        mark = node.start_mark
        for name, index in steps:
            child = _child(node, name or index, bool(index))
            if child is None:
                break
            mark, node = child
        return mark, node


@lru_cache(maxsize=8)
def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines()


def _child(node: Any, step: str, indexed: bool) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and indexed:
        for index, item in enumerate(node.value):
            named = isinstance(item, yaml.MappingNode) and any(
                (key.value, value.value) == ("name", step) for key, value in item.value
            )
            if named or str(index) == step:
                return item.start_mark, item
    return None


def read_documents(path: Path) -> list[YamlDocument]:
    """The objects of a file. Raises RunError."""
    text = read_text(path)
    try:
        nodes = [node for node in yaml.compose_all(text, yaml.BaseLoader) if node is not None]
        return [YamlDocument(path, node, _plain(node, path)) for node in nodes]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise wrong(f"{path}{where}: {problem}") from error
    except RecursionError:
        raise wrong(f"{path}: nested too deeply") from None


def _plain(node: yaml.Node, path: Path) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path) for item in node.value]
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in node.value:
        where = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise wrong(f"{where}: a key has to be a text")
        inner = _plain(value, path)
        if key.value == "<<" and key.style is None:
            for part in inner if isinstance(inner, list) else [inner]:
                merged = {**(part if isinstance(part, dict) else {}), **merged}
            continue
        name = _key(_scalar(key, path))
        if name in found:
            raise wrong(f"{where}: the key {name} occurs twice")
        found[name] = inner
    return dict(sorted({**merged, **found}.items()))


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _scalar(node: yaml.ScalarNode, path: Path) -> Any:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if _NO_NUMBER.fullmatch(text):
        where = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        raise wrong(f"{where}: {text} is no number of JSON: write it as a text, in quotes")
    bare = text.replace("_", "") if text[:1] in "+-.0123456789" else text
    if _INTEGER.fullmatch(bare):
        digits = bare.lstrip("+-")
        octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        number = int(digits, 8 if octal else 0) * (-1 if bare[0] == "-" else 1)
        # Beyond 64 bits Go reads a float.
        return number if -(1 << 63) <= number < 1 << 63 else int(float(number))
    if _FLOAT.fullmatch(bare):
        value = float(bare)
        # Go writes 2e6 and 1.0 as 2000000 and 1.
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    return text
