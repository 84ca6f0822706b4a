"""How a field is called in messages: `spec.report.sources[rows].postgres.query`.

An element of a list that has a name goes by it, as in the manifest; others by their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

LONGEST_STEP = 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", re.ASCII)


def element(item: Any, number: int) -> str:
    """`[rows]` for an object (or model) with a name that can be told, else `[0]`."""
    name = item.get("name") if isinstance(item, dict) else getattr(item, "name", None)
    told = isinstance(name, str) and _NAME.fullmatch(name) is not None
    return f"[{name if told else number}]"


def field_path(root: str, steps: Iterable[str | int], given: Any) -> str:
    """The path of a field below `root`, whose value is `given`: steps as pydantic tells them."""
    path = root
    for step in steps:
        if step == "[key]":
            continue
        if isinstance(step, int):
            item = given[step] if isinstance(given, list) and step < len(given) else None
            path, given = path + element(item, step), item
        else:
            path += f".{str(step)[:LONGEST_STEP]}"
            given = given.get(step) if isinstance(given, dict) else None
    return path
