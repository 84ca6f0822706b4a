"""The files of a directory: their text, and the objects in them with the place of every field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from report_runner.preview.kubectl_yaml import YamlLoader, plain_value
from report_runner.preview.problem import wrong

__all__ = ["YamlDocument", "read_documents", "read_text", "wrong"]

# A byte order mark at the begin of an object.
_MARK_AFTER_SEPARATOR = re.compile(r"^(---[^\n]*\n)\ufeff", re.MULTILINE)
# What most often is behind an error of YAML's.
_HINTS = (
    ("alias", "a text that begins with * has to be in quotes"),
    ("anchor", "a text that begins with & has to be in quotes"),
    ("'\\t' that cannot start", "a tab cannot indent: use spaces"),
    ("that cannot start any token", "a text that begins with it has to be in quotes"),
    ("mapping values are not allowed", "a line that is indented unlike those before it, or a text "
     "with a colon that has to be in quotes"),
    ("<block end>", "a line that is indented unlike those before it, or a bracket or quote that is "
     "not closed"),
)  # fmt: skip
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]+)\]")


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
    """The objects of a file; empty ones are left out. Raises RunError."""
    text = _separated(read_text(path), path)
    try:
        nodes = [node for node in yaml.compose_all(text, YamlLoader) if node is not None]
        documents = [YamlDocument(path, node, plain_value(node, path)) for node in nodes]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or str(error).splitlines()[0])
        context = str(getattr(error, "context", None) or "")
        hints = [hint for said, hint in _HINTS if said in f"{context}: {problem}"]
        hint = f" ({hints[0]})" if hints else ""
        raise wrong(f"{path}{where}: {problem}{hint}") from error
    except RecursionError:
        raise wrong(f"{path}:1:1: nested too deeply") from None
    return [document for document in documents if document.body is not None]


def _separated(text: str, path: Path) -> str:
    """kubectl cuts a file at each line that begins with ---, before it is read as YAML."""
    for number, line in enumerate(text.splitlines(), 1):
        after = line.removeprefix("---").strip()
        if line.startswith("---") and after and not after.startswith("#"):
            raise wrong(
                f"{path}:{number}:1: a line that begins with --- separates objects: nothing but a "
                "comment may follow in it"
            )
    return _MARK_AFTER_SEPARATOR.sub(r"\1", text)
