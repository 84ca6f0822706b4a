"""The template of a manifest: where its text is, and where in it something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report_runner.contract.report import ConfigMapKeyReference
from report_runner.contract.templating import TEMPLATE_LIMIT, compile_problem
from report_runner.preview.documents import YamlDocument, read_text, wrong

# What a message says in quotes is what it is about: 'titel' is undefined, 'foo'. has no attribute.
_QUOTED = re.compile(r"['\"`]([^'\"`]+)['\"`]")
_TAG = re.compile(r"\{[{%#]")


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A template's text, what it is called, and how a place in it is written."""

    text: str
    name: str
    place: Callable[[int, int], str]  # line and column, from 1

    def placed(self, line: int, message: str) -> str:
        """The message after `file:line:column` of what it is about."""
        return f"{self.place(line, self._column(line, message))}: {message}"

    def _column(self, line: int, message: str) -> int:
        written = "".join(self.text.splitlines()[line - 1 : line])
        for quoted in reversed(_QUOTED.findall(message)):
            word = re.search(rf"(?<!\w){re.escape(quoted)}(?!\w)", written)
            if word:
                return word.start() + 1
        tag = _TAG.search(written)
        return (tag.start() if tag else len(written) - len(written.lstrip())) + 1


def read_template(
    reference: ConfigMapKeyReference, siblings: Sequence[YamlDocument], directory: Path
) -> TemplateText:
    """A file of the key's name, else the ConfigMap beside the manifest. Raises RunError.

    LookupError, with what there is, where it is in neither.
    """
    file = directory / reference.key
    if file.is_file():
        found = TemplateText(
            read_text(file), "the template", lambda line, column: f"{file}:{line}:{column}"
        )
    else:
        found = _from_config_map(reference, siblings, file, directory)
    size = len(found.text.encode())
    if size > TEMPLATE_LIMIT:
        raise wrong(
            f"{found.place(1, 1)}: {found.name} has {size} bytes, the limit is {TEMPLATE_LIMIT}; "
            "embed smaller images, and take data from sources instead"
        )
    problem = compile_problem(found.text)
    if problem is not None:
        raise wrong(found.placed(problem.line, f"{found.name}: {problem}"))
    return found


def _from_config_map(
    reference: ConfigMapKeyReference,
    siblings: Sequence[YamlDocument],
    file: Path,
    directory: Path,
) -> TemplateText:
    maps = {
        str(_mapping(one, "metadata").get("name")): (one, _mapping(one, "data"))
        for one in siblings
        if one.body.get("kind") == "ConfigMap"
    }
    document, data = maps.get(reference.name, (None, {}))
    if document is None or reference.key not in data:
        there = ", ".join(
            f"{name}/{key}" if key else f"{name} without keys"
            for name, (_, keys) in maps.items()
            for key in (list(keys) or [""])
        )
        raise LookupError(
            f"the template is neither in {file} nor in a ConfigMap {reference.name} with the key "
            f"{reference.key} in {directory}; there is {there or 'no ConfigMap'}"
        )
    name = f"ConfigMap {reference.name}/{reference.key}"
    steps = ("data", reference.key)
    if not isinstance(data[reference.key], str):
        place = document.place_in_text(steps, 1, 1)
        raise wrong(f"{place}: {name}: has to be a text, as in `{reference.key}: |`")
    return TemplateText(
        data[reference.key], name, lambda line, column: document.place_in_text(steps, line, column)
    )


def _mapping(document: YamlDocument, field: str) -> dict[str, Any]:
    value = document.body.get(field)
    return value if isinstance(value, dict) else {}
