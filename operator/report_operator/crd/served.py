"""Whether the CRDs in the cluster have every field of this version's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from report_operator.api.v1alpha1.resource import GROUP, VERSION
from report_operator.crd.definitions import RESOURCES
from report_operator.crd.generator import schema_of

OPENAPI = f"/openapi/v3/apis/{GROUP}/{VERSION}"  # every service account may read it
MOST_NAMED = 5

Schema = Mapping[str, Any]


def missing_fields(openapi: Schema) -> list[str]:
    """Fields and values of fields that the API server does not know, as `ReportSchedule.spec.x`.

    `openapi` is its answer to OPENAPI.
    """
    schemas = (openapi.get("components") or {}).get("schemas") or {}
    by_kind = {
        kind["kind"]: schema
        for schema in schemas.values()
        for kind in schema.get("x-kubernetes-group-version-kind") or ()
        if (kind.get("group"), kind.get("version")) == (GROUP, VERSION)
    }
    found: list[str] = []
    for of in RESOURCES:
        if of.kind not in by_kind:
            found.append(of.kind)
            continue
        ours, served = schema_of(of)["properties"], by_kind[of.kind].get("properties") or {}
        for part in ("spec", "status"):
            found += _missing(ours[part], served.get(part) or {}, f"{of.kind}.{part}")
    return found


def describe_missing(missing: list[str]) -> str:
    """For a log line."""
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return (
        f"the CRDs in the cluster are older than this version: they lack "
        f"{', '.join(missing[:MOST_NAMED])}{more}, which the API server would drop; apply crds/ of "
        "this version (the chart does it unless crds.install is false)"
    )


def _missing(ours: Schema, served: Schema, path: str) -> Iterator[str]:
    known = served.get("properties") or {}
    for name, schema in (ours.get("properties") or {}).items():
        if name in known:
            yield from _missing(schema, known[name], f"{path}.{name}")
        elif not served.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}"
    for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(ours.get(keyword), dict):
            yield from _missing(ours[keyword], served.get(keyword) or {}, f"{path}{suffix}")
    if "enum" in served:
        yield from (
            f"{path}={value}" for value in ours.get("enum", ()) if value not in served["enum"]
        )
