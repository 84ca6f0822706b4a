"""JSON Schemas for kubeconform out of an API server's own OpenAPI, strict about unknown fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hack.testbed.apiserver import ApiServer

# As kubeconform names what it looks for.
LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"


def write(api: ApiServer, directory: Path) -> int:
    """One file for each kind that the server serves; the number of them."""
    written = 0
    for path in api.call("GET", "/openapi/v3").body["paths"]:
        if not path.startswith(("api/", "apis/")) or path.count("/") not in (1, 2):
            continue
        schemas = api.call("GET", f"/openapi/v3/{path}").body.get("components", {}).get("schemas")
        strict = {name: closed(schema) for name, schema in (schemas or {}).items()}
        for name, schema in strict.items():
            for kind in schema.get("x-kubernetes-group-version-kind", ()):
                group = kind["group"] or kind["version"]  # kubeconform's own way with the core
                file = f"{group}_{kind['version']}_{kind['kind'].lower()}.json"
                whole = {
                    "$ref": f"#/components/schemas/{name}",
                    "components": {"schemas": strict},
                }
                (directory / file).write_text(json.dumps(whole))
                written += 1
    return written


def closed(schema: Any) -> Any:
    """An object with named properties has no others, as `kubectl --validate=strict` sees it."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: {name: closed(item) for name, item in value.items()}
        if key == "properties"
        else closed(value)
        for key, value in schema.items()
        if key != "default"
    }
    if (
        isinstance(schema.get("properties"), dict)
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        found["additionalProperties"] = False
    return found
