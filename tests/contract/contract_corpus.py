"""The corpus: manifests that the API server and the models have to judge alike.

- good: both accept
- bad: both refuse; `# error:` is part of the API server's message, `# model:` of the operator's
  (`-` where the API server refuses something outside of the spec, so the operator never sees it)
- later: no schema can tell; the API server accepts, the operator reports the problem

`corpus` has ReportSchedules, `backfills` ReportBackfills.

"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent
SCHEDULES, BACKFILLS = "corpus", "backfills"
ONLY_API_SERVER = "-"


@dataclass(frozen=True)
class Case:
    """One manifest with the fields of its header."""

    name: str
    of: str
    body: dict[str, Any]
    error: str
    model: str

    def __str__(self) -> str:
        return f"{self.of}-{self.name}"


def load(kind: str, *corpora: str) -> list[Case]:
    """The cases of a kind, by name; of both corpora without `kind`."""
    return [
        _read(path, of)
        for of in corpora or (SCHEDULES, BACKFILLS)
        for path in sorted((ROOT / of / kind).glob("*.yaml"))
    ]


def _read(path: Path, of: str) -> Case:
    text = path.read_text()
    header = dict(
        line.removeprefix("# ").split(": ", 1)
        for line in text.splitlines()
        if line.startswith("# ")
    )
    return Case(
        path.stem, of, yaml.safe_load(text), header.get("error", ""), header.get("model", "")
    )
