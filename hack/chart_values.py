"""`python -m hack.chart_values [--write]`: the chart describes its values as values.yaml does.

Comments of values.yaml are the one place where a value is described: the block above a key and what
stands behind it. From there they come into the table of README.md and into `description` of
values.schema.json. Chart.yaml has the icon within itself, since no address serves it. Without
--write: exit code 1 where one of the three differs.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "charts" / "adaf-report-scheduler"
BEGIN, END = "<!-- values: made by hack/chart_values.py -->", "<!-- end of values -->"
# Kubernetes's own fields: one value each.
_WHOLE = {
    "apiServer", "containerSecurityContext", "defaultResources", "podSecurityContext", "resources",
    "strategy",
}  # fmt: skip
_LITERALS = {"null", "true", "false", "auto", "json"}
_KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: +(.*))?$")
_COMMENT = re.compile(r"^ *# ?(.*)$")
# A `#` begins a comment after a blank, outside of quotes.
_VALUE = re.compile(r"""^((?:"[^"]*"|'[^']*'|[^"'#]|(?<=\S)#)*?)(?:\s+#\s*(.*))?$""")


@dataclass(frozen=True, slots=True)
class Value:
    """One key of values.yaml; `default` is YAML, empty for a key with keys of its own."""

    path: str
    default: str
    description: str


def parse(text: str) -> list[Value]:
    """The values in their order. Raises ValueError for one that nothing describes."""
    found = _inherited(list(_keys(text)))
    if silent := [value.path for value in found if value.default and not value.description]:
        raise ValueError(f"values.yaml: no comment describes {', '.join(silent)}")
    return found


def _keys(text: str) -> Iterator[Value]:
    lines = text.splitlines()
    data = yaml.safe_load(text)
    within: int | None = None  # the indentation of a key that is told whole
    stack: list[tuple[int, str]] = []
    above: list[str] = []
    for line in lines:
        if comment := _COMMENT.match(line):
            if not comment[1].startswith(" "):  # an example is indented
                above.append(comment[1])
            continue
        key = _KEY.match(line)
        if key is None:
            above = []
            continue
        indent = len(key[1])
        if within is not None and indent > within:
            continue
        within = indent if key[2] in _WHOLE else None
        stack = [(depth, name) for depth, name in stack if depth < indent]
        stack.append((indent, key[2]))
        value = _VALUE.match(key[3] or "")
        assert value is not None, line
        words = " ".join([*above, value[2] or ""]).strip()
        above = []
        path = [name for _, name in stack]
        default = value[1].strip() if within is None else _flow(reduce(getitem, path, data))
        yield Value(".".join(path), default, _sentence(words))


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()


def _inherited(values: list[Value]) -> list[Value]:
    """`likewise` is what the key before says; without a word a key is as its namesake.

    That is the top-level key of its name, or one of the same parent's name: image.tag.
    """
    known: dict[str, Value] = {}
    found: list[Value] = []
    for value in sorted(values, key=lambda value: value.path.count(".")):
        *_, parent, name = ["", *value.path.split(".")]
        if value.description:
            known.setdefault(f"{parent}.{name}", value)
    for value in values:
        *_, parent, name = ["", *value.path.split(".")]
        namesake = known.get(f".{name}") or known.get(f"{parent}.{name}")
        words = value.description
        if words == "Likewise.":
            words = found[-1].description
        elif not words and namesake is not None:
            words = f"As `{namesake.path}`."
        found.append(replace(value, description=words))
    return found


def _sentence(words: str) -> str:
    if not words:
        return ""
    first = words.split()[0].rstrip(":,")
    if first not in _LITERALS and first.isalpha():
        words = words[0].upper() + words[1:]
    return words if words[-1] in ".!?" else f"{words}."


def table(values: list[Value]) -> str:
    """Markdown; each top-level key with the keys below it."""
    rows = ["| Value | Default | What it does |", "| --- | --- | --- |"]
    for value in values:
        if not value.default and not value.description:
            continue
        default = f"`{value.default}`" if value.default else ""
        cells = (f"`{value.path}`", default, value.description)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def readme(text: str, values: list[Value]) -> str:
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table(values)}\n\n{END}{after}"


def described(schema: dict[str, Any], values: list[Value]) -> dict[str, Any]:
    """The schema with the values' descriptions. Raises ValueError for a value that it lacks."""
    schema = _bare(schema)
    for value in values:
        at, parents = schema, value.path.split(".")
        for step in parents:
            if "$ref" in at:  # an amount of the chart's own default, such as requests
                at = schema["definitions"][at["$ref"].rpartition("/")[2]]
            if step not in at.get("properties", {}):
                if "properties" in at:
                    raise ValueError(f"values.schema.json does not have {value.path}")
                break
            at = at["properties"][step]
        else:
            if value.description and not _shared(schema, value.path):
                at["description"] = value.description
    return schema


def _shared(schema: dict[str, Any], path: str) -> bool:
    """Whether the last step is within a definition, which several values use."""
    at = schema
    for step in path.split("."):
        if "$ref" in at:
            return True
        at = at["properties"][step]
    return False


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy without descriptions of properties; those of definitions are written by hand."""

    def copy(node: Any) -> Any:
        if isinstance(node, list):
            return [copy(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: copy(item)
            for key, item in node.items()
            if not (key == "description" and isinstance(item, str))
        }

    return {
        key: item if key == "definitions" else copy(item)
        for key, item in schema.items()
    }  # fmt: skip


def files() -> dict[Path, str]:
    """What the two files have to be."""
    values = parse((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    icon = base64.b64encode((CHART / "icon.svg").read_bytes()).decode()
    about = (CHART / "Chart.yaml").read_text()
    return {
        CHART / "Chart.yaml": re.sub(
            r"(?m)^icon: .*$", f"icon: data:image/svg+xml;base64,{icon}", about
        ),
        CHART / "README.md": readme((CHART / "README.md").read_text(), values),
        CHART / "values.schema.json": json.dumps(described(schema, values), indent=2) + "\n",
    }


def main(arguments: list[str]) -> int:
    stale = {path: text for path, text in files().items() if path.read_text() != text}
    for path, text in stale.items():
        if "--write" in arguments:
            path.write_text(text)
        else:
            print(f"{path.name} is not as its sources are: python -m hack.chart_values --write")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
