"""What may get through: the vectors that docs/security.md names as accepted, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
_HEADING = "## Accepted"
_KEY = re.compile(r"^\| `([a-z0-9-]+/[^`]+)` \|", re.MULTILINE)


def _read() -> frozenset[str]:
    _, heading, rest = PAGE.read_text().partition(f"\n{_HEADING}\n")
    assert heading, f"{PAGE} has no section {_HEADING}"
    return frozenset(_KEY.findall(rest.partition("\n## ")[0]))


ACCEPTED = _read()
