"""The shell blocks of docs/runbook.md, each with the headings above it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"

# Above a block: what a cluster needs to have for it, beyond what comes with the chart.
_NEEDS = re.compile(r"<!-- needs: (.+) -->")
_HEADING = re.compile(r"^#+ +(.+?) *$")


@dataclass(frozen=True, slots=True)
class Block:
    """`number` counts the blocks below one heading, from 1."""

    heading: str
    number: int
    text: str
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.heading} {self.number}"


def read_blocks(path: Path = RUNBOOK) -> list[Block]:
    """All blocks, in order."""
    return list(_blocks(path.read_text().splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    heading, number, needs = "", 0, ""
    inside: list[str] | None = None
    for line in lines:
        if inside is not None:
            if line.strip() == "```":
                number += 1
                yield Block(heading, number, textwrap.dedent("\n".join(inside)), needs)
                inside, needs = None, ""
            else:
                inside.append(line)
        elif line.strip() == "```bash":
            inside = []
        elif found := _NEEDS.search(line):
            needs = found[1]
        elif found := _HEADING.match(line):
            heading, number = found[1], 0
