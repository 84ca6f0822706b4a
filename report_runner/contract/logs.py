"""A run's log for a person: the runner writes JSON, one record a line.

A line of text for each record; the lines of a traceback follow it, indented by INDENT. Lines that
are no record (of another process, or cut off) stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

INDENT = "    "


def as_text(lines: Iterable[str]) -> list[str]:
    """`2026-11-24T05:00:10.123+00:00 info: the files are used as they are`, and so on."""
    return [told for line in lines for told in _record(line)]


def folded(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each line with the indented ones behind it; those at the very start follow ''."""
    found: list[tuple[str, list[str]]] = []
    for indented, group in groupby(lines, lambda line: line.startswith(INDENT)):
        if not indented:
            found += [(line, []) for line in group]
        elif found:
            found[-1] = (found[-1][0], list(group))
        else:
            found.append(("", list(group)))
    return found


def _record(line: str) -> list[str]:
    try:
        record: Any = json.loads(line) if line.startswith("{") else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("message"), str):
        return [line]
    before = " ".join(str(record[key]) for key in ("time", "level") if record.get(key))
    first, *more = record["message"].splitlines() or [""]
    traceback = record.get("traceback")
    behind = [*more, *(traceback.splitlines() if isinstance(traceback, str) else ())]
    return [f"{before}: {first}" if before else first, *(f"{INDENT}{text}" for text in behind)]
