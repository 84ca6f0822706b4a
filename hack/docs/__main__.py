"""`--write` makes the generated pages of docs anew; `--check` fails where one differs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from hack.docs.api import api_page
from hack.docs.metrics import metrics_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES: dict[str, Callable[[], str]] = {"metrics.md": metrics_page, "api.md": api_page}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.docs", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    stale = []
    for name, make in PAGES.items():
        page, text = DOCS / name, make()
        if arguments.write:
            page.write_text(text)
        elif not page.exists() or page.read_text() != text:
            stale.append(f"docs/{name}")
    for name in stale:
        print(f"{name} is not what the code says: python -m hack.docs --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
