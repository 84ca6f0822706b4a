"""What a field of a model says of itself in the CRD's schema, beyond its type."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

Item = TypeVar("Item")


def unique(key: str = "") -> AfterValidator:
    """Every element once, as the list types `map` (with the field `key`) and `set` have it."""

    def check(items: list[Item]) -> list[Item]:
        found: set[Hashable] = set()
        for item in items:
            value = getattr(item, key) if key else item
            if value in found:
                raise PydanticCustomError("rule", "{value} occurs twice", {"value": str(value)})
            found.add(value)
        return items

    return AfterValidator(check)


def list_map(key: str) -> dict[str, Any]:
    """Schema of a list whose elements are told apart by a field."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
