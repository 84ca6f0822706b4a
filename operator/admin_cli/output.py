"""How an answer is printed: as JSON, or as a table of `show`."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from typing import Any

PAGE = 500


def show_answer(args: Namespace, body: dict[str, Any], table: Callable[[Any], None]) -> None:
    if args.output == "json":
        print(json.dumps(body, indent=2))
        return
    from admin_cli import show  # rich takes a while

    table(show)
