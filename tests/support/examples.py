"""Every manifest that the documentation shows, and those of the demo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.docs import ROOT, blocks

SCHEDULE, BACKFILL = "ReportSchedule", "ReportBackfill"


@dataclass(frozen=True, slots=True)
class Example:
    """`line` is that of its text's first line, from 1. `siblings` are all objects of its text."""

    file: str  # relative to the checkout
    line: int
    text: str
    body: dict[str, Any]
    siblings: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}/{self.name}"

    @property
    def kind(self) -> str:
        kind: str = self.body["kind"]
        return kind

    @property
    def name(self) -> str:
        name: str = self.body["metadata"]["name"]
        return name

    def in_namespace(self, namespace: str) -> dict[str, Any]:
        """The manifest for another namespace."""
        return {**self.body, "metadata": {**self.body["metadata"], "namespace": namespace}}

    def template_text(self) -> str | None:
        """The template of a ConfigMap beside it; None for a builtin one."""
        reference = self.body["spec"]["report"]["template"].get("configMapRef")
        if reference is None:
            return None
        found = next(b for b in self.siblings if b["metadata"]["name"] == reference["name"])
        text: str = found["data"][reference.get("key", "template.html.j2")]
        return text


def examples(*kinds: str) -> list[Example]:
    """Those of these kinds: fenced `yaml` blocks, docs/examples, and the demo's schedules."""
    files = [*sorted((ROOT / "docs" / "examples").rglob("*.yaml")), demo_schedules()]
    found = [
        *(e for block in blocks("yaml") for e in _of_text(block.file, block.line, block.text)),
        *(e for f in files for e in _of_text(str(f.relative_to(ROOT)), 1, f.read_text())),
    ]
    return [example for example in found if example.kind in kinds]


def demo_schedules() -> Path:
    return ROOT / "hack" / "demo" / "schedules.yaml"


def sample_data(source: str) -> Path:
    """Rows for a source of this name, which an example of the docs carries."""
    (found,) = (ROOT / "docs" / "examples").glob(f"*/data/{source}.csv")
    return found


def _of_text(file: str, line: int, text: str) -> Iterator[Example]:
    bodies = tuple(body for body in yaml.safe_load_all(text) if body and "kind" in body)
    for body in bodies:
        yield Example(file, line, text, body, bodies)
