"""The corpus: manifests that API server and models have to judge alike.

- good: both accept
- bad: both refuse; `# error:` has to be in the API server's message, `# model:` in the operator's
  (`-` where the API server refuses what is not in the spec and so never reaches the operator)
- later: no schema can tell; the API server accepts, the operator says what is wrong
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent / "corpus"
ONLY_API_SERVER = "-"


@dataclass(frozen=True)
class Case:
    """One manifest and what its header says."""

    name: str
    body: dict[str, Any]
    error: str
    model: str

    def __str__(self) -> str:
        return self.name


def load(kind: str) -> list[Case]:
    """The cases of a folder, by name."""
    return [_read(path) for path in sorted((ROOT / kind).glob("*.yaml"))]


def _read(path: Path) -> Case:
    text = path.read_text()
    header = dict(
        line.removeprefix("# ").split(": ", 1)
        for line in text.splitlines()
        if line.startswith("# ")
    )
    return Case(path.stem, yaml.safe_load(text), header.get("error", ""), header.get("model", ""))
