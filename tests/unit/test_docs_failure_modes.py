"""Each row of docs/failure-modes.md leads to the runbook, and names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.docs import anchors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "failure-modes.md").read_text()
SHOWN, UNTESTED = PAGE.split("\n## Known and not tested\n")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in SHOWN.splitlines()
    if line.startswith("| ") and not line.startswith(("| What fails", "| ---"))
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[-1])})


@cache
def functions(path: str) -> frozenset[str]:
    """Names of a module's own tests, as pytest collects them."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_row_says_what_happens_what_to_do_and_what_shows_it() -> None:
    assert len(ROWS) > 50
    for row in ROWS:
        assert len(row) == 4, row
        assert row[2] == "Nothing" or "](" in row[2] or row[2].startswith("Rename"), row
        assert re.search(r"`tests/[^`]+::test_\w+`", row[3]), row


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert function.startswith("test_")
    assert Path(path).name.startswith("test_")
    assert function in functions(path)


def test_only_rows_name_tests() -> None:
    assert "tests/" not in UNTESTED


def test_a_name_that_does_not_exist_is_found() -> None:
    assert "test_no_such_test" not in functions("tests/unit/test_docs_failure_modes.py")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_a_link_leads_to_a_section(link: str) -> None:
    page, _, anchor = link.partition("#")
    text = (ROOT / "docs" / page).read_text()
    assert not anchor or anchor in anchors(text)
