"""What can be read of a status that a later version wrote, as after a rollback."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError


def without_unreadable(
    status: Mapping[str, Any], error: ValidationError, droppable: Collection[str] | None = None
) -> dict[str, Any]:
    """A copy without what `error` is about: elements of its lists, else its fields.

    Raises `error` where that is of a field other than `droppable`.
    """
    fields: set[str] = set()
    elements: dict[str, set[int]] = {}
    for problem in error.errors(include_url=False, include_input=False):
        name, *rest = problem["loc"] or ("",)
        if droppable is not None and name not in droppable:
            raise error
        if rest and isinstance(rest[0], int):
            elements.setdefault(str(name), set()).add(rest[0])
        else:
            fields.add(str(name))
    kept = {name: value for name, value in status.items() if name not in fields}
    for name, dropped in elements.items():
        if isinstance(kept.get(name), list):
            kept[name] = [v for number, v in enumerate(kept[name]) if number not in dropped]
    return kept
