"""Keywords of the CRD's schema that a field's type does not give."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

Item = TypeVar("Item")


def unique(key: str = "") -> AfterValidator:
    """No element twice, as in the list types `map` (by the field `key`) and `set`."""

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
    """Schema of a list whose elements are identified by a field."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
