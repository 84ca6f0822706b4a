"""The threat model names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
SUITE = "".join(path.read_text() for path in sorted((ROOT / "tests" / "attacks").glob("*.py")))
# The last cell of each row of a table that has the column.
HELD = [
    cell
    for table in re.findall(r"^\|.*\| Held by \|\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for row in table.splitlines()
    for cell in [row.split("|")[-2]]
]


def test_every_line_is_held_by_something() -> None:
    assert len(HELD) > 25
    assert all(re.search(r"`[^`]+`", cell) for cell in HELD), HELD


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE))))
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    assert not function or f"def {function}(" in (ROOT / path).read_text()


@pytest.mark.parametrize(
    "name", sorted({n for cell in HELD for n in re.findall(r"`([^`/]+)`", cell)})
)
def test_an_area_that_is_named_is_tried(name: str) -> None:
    assert f'"{name}"' in SUITE
