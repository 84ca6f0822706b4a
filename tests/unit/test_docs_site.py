"""The site of the documentation has every page."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from tests.support.docs import ROOT

CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]


def pages_of(navigation: list[dict[str, Any]]) -> Iterator[str]:
    for entry in navigation:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from pages_of(target)


def test_navigation_has_every_page_once() -> None:
    found = list(pages_of(CONFIG["nav"]))
    assert sorted(found) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))
