"""Fields of a spec that somebody has set and that the object does not have.

A CRD that lacks a field makes the API server drop it from every object that it reads, without a
word and without a new generation: as after a rollback to a chart with an older CRD. What has been
set is still listed in metadata.managedFields. A newer CRD does not bring the values back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from report_operator.api.v1alpha1.resource import GROUP, SpecError

MOST_NAMED = 3
FIELD, ITEM = "f:", "k:"


def lost_fields(body: Mapping[str, Any]) -> list[str]:
    """Their paths, such as `spec.report.sources[name=facts].fresh`, in alphabetical order."""
    found: set[str] = set()
    for entry in body["metadata"].get("managedFields") or ():
        if entry.get("subresource") or not str(entry.get("apiVersion", "")).startswith(f"{GROUP}/"):
            continue
        of_spec = (entry.get("fieldsV1") or {}).get(f"{FIELD}spec")
        if isinstance(of_spec, dict):
            found.update(_lost(of_spec, body.get("spec") or {}, "spec"))
    return sorted(found)


def refuse_lost_fields(lost: str) -> None:
    """Raises SpecError that names them and says what to do; `lost` is of `describe_lost`."""
    if lost:
        raise SpecError(
            f"{lost}: set, and dropped by the API server, because an older CRD is or was installed "
            "(by a rollback, say). Install the CRD of the version that has it, and apply the "
            "manifest again; docs/operations.md says how to go on without it"
        )


def describe_lost(body: Mapping[str, Any]) -> str:
    """'' where nothing is lost."""
    lost = lost_fields(body)
    more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
    return ", ".join(lost[:MOST_NAMED]) + more


def _lost(fields: Mapping[str, Any], there: Any, path: str) -> Iterator[str]:
    for name, below in fields.items():
        if name.startswith(FIELD):
            key = name.removeprefix(FIELD)
            if not isinstance(there, dict) or key not in there:
                yield f"{path}.{key}"
            elif isinstance(below, dict):
                yield from _lost(below, there[key], f"{path}.{key}")
        elif name.startswith(ITEM) and isinstance(there, list) and isinstance(below, dict):
            keys: dict[str, Any] = json.loads(name.removeprefix(ITEM))
            item = next((i for i in there if _has(i, keys)), None)
            if item is not None:  # an item that is gone was not dropped by a schema
                named = ",".join(f"{key}={value}" for key, value in keys.items())
                yield from _lost(below, item, f"{path}[{named}]")


def _has(item: Any, keys: Mapping[str, Any]) -> bool:
    return isinstance(item, dict) and all(item.get(key) == value for key, value in keys.items())
