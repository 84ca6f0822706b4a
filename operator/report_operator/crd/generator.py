"""Writes the CRDs and the field reference: `python -m report_operator.crd --write | --check`.

The typed models are the one place where a field is declared; this only translates pydantic's JSON
schema into the structural schema that the API server takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from report_operator.api.v1alpha1 import resource
from report_operator.api.v1alpha1.conditions import UNSEEN
from report_operator.crd.definitions import RESOURCES, SCHEDULE, CustomResource
from report_operator.crd.docs import render_reference
from report_runner.contract.model import Model
from report_runner.contract.rules import VALIDATIONS, quoted

REFERENCE = Path("docs") / "reference.md"
# With it the runner's preview refuses what the API server refuses.
PREVIEW_SCHEMA = Path("report_runner") / "preview" / "reportschedule.json"

# Keywords of JSON schema that a structural schema has no place for, or that say nothing in it.
DROPPED = ("title", "additionalProperties", "$defs", "properties", "propertyNames")
KEPT = (
    *("default", "description", "enum", "format", "items", "nullable", "required", "type"),
    *("maxItems", "maxLength", "maxProperties", "maximum"),
    *("minItems", "minLength", "minProperties", "minimum"),
)


class _SchemaWithDefaults(GenerateJsonSchema):
    """Pydantic leaves out defaults made by a factory; stored objects have to have them."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        factory = schema.get("default_factory")
        if factory is not None and not schema.get("default_factory_takes_data"):
            made: Any = factory()  # type: ignore[call-arg]
            wire = made.to_wire() if isinstance(made, Model) else self.encode_default(made)
            inner = self.generate_inner(schema["schema"])
            # An empty list or object is what an absent one means already.
            return {**inner, "default": wire} if wire else inner
        return super().default_schema(schema)


def custom_resource_definition(of: CustomResource) -> dict[str, Any]:
    spec = _structural(of.spec, defaults=True)
    for name, rules in of.field_rules.items():
        spec["properties"][name][VALIDATIONS] = list(rules)
    if of.spec_rules:
        spec[VALIDATIONS] = [*spec.get(VALIDATIONS, ()), *of.spec_rules]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{of.plural}.{resource.GROUP}"},
        "spec": {
            "group": resource.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": of.kind,
                "listKind": f"{of.kind}List",
                "plural": of.plural,
                "singular": of.singular,
                "shortNames": list(of.short_names),
                "categories": ["reports"],
            },
            "versions": [
                {
                    "name": resource.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path}
                        | ({"priority": 1} if wide else {})
                        for name, kind, path, wide in of.columns
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": of.description,
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": {
                                    **_structural(of.status, defaults=False),
                                    "default": UNSEEN,
                                },
                            },
                        }
                    },
                }
            ],
        },
    }


def _structural(model: type[Model], defaults: bool) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, schema_generator=_SchemaWithDefaults)
    return _translate(schema, schema.get("$defs", {}), defaults)


def _translate(node: dict[str, Any], definitions: dict[str, Any], defaults: bool) -> dict[str, Any]:
    """One node of pydantic's schema → the API server's structural schema."""
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    if "anyOf" in node:  # Optional[X]: a field that may be left out, never null
        kinds = [kind for kind in node["anyOf"] if kind != {"type": "null"}]
        if len(kinds) != 1:
            raise ValueError(f"a structural schema has no alternatives: {node}")
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        return _translate({**kinds[0], **rest}, definitions, defaults)
    out: dict[str, Any] = {}
    for key, value in node.items():
        # The API server drops a default of null, and the next one to apply the CRD has a conflict.
        if key in DROPPED or (key == "default" and (value is None or not defaults)):
            continue
        if key not in KEPT and not key.startswith("x-kubernetes-"):
            raise ValueError(f"{key}: no keyword of a structural schema that is known here: {node}")
        out[key] = _translate(value, definitions, defaults) if key == "items" else value
    preset = out.get("default")
    if preset is not None and "description" in out and not isinstance(preset, dict):
        # kubectl explain does not show defaults.
        shown = preset if isinstance(preset, str) else json.dumps(preset)
        out["description"] += f" Default: {shown}."
    if node.get("properties"):  # the API server drops an empty one, and sees a conflict then
        out["properties"] = {
            name: _translate(child, definitions, defaults)
            for name, child in node["properties"].items()
        }
    free = node.get("additionalProperties")
    if isinstance(free, dict):
        out["additionalProperties"] = _translate(free, definitions, defaults)
    names = node.get("propertyNames", {}).get("enum")
    if names:
        allowed = ", ".join(quoted(name) for name in names)
        rule = {
            "rule": f"self.all(key, key in [{allowed}])",
            "message": "only " + ", ".join(names) + " can be set",
        }
        out[VALIDATIONS] = [*out.get(VALIDATIONS, []), rule]
    return out


class _NoAliases(yaml.SafeDumper):
    """YAML anchors in a CRD only confuse readers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the base class's signature)
        return True


def render(of: CustomResource) -> str:
    """The CRD's YAML, with a line that says where it comes from."""
    body = yaml.dump(custom_resource_definition(of), Dumper=_NoAliases, sort_keys=False, width=100)
    return (
        f"# Generated by `python -m report_operator.crd --write`: edit the models instead.\n{body}"
    )


def main(argv: list[str] | None = None) -> int:
    """Writes the files, or checks whether they are up to date."""
    parser = argparse.ArgumentParser(prog="report_operator.crd")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help="write the files")
    group.add_argument("--check", action="store_true", help="fail where a file is not the same")
    args = parser.parse_args(argv)
    texts = {of.target: render(of) for of in RESOURCES}
    texts[REFERENCE] = "\n".join(
        render_reference(of.kind, of.plural, schema_of(of)) for of in RESOURCES
    )
    texts[PREVIEW_SCHEMA] = json.dumps(_undescribed(schema_of(SCHEDULE)), indent=1) + "\n"
    if args.write:
        for path, text in texts.items():
            path.write_text(text)
        return 0
    stale = [str(path) for path, text in texts.items() if _content(path) != text]
    for name in stale:
        print(f"{name} differs from the models: run --write", file=sys.stderr)
    return 1 if stale else 0


def _content(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _undescribed(node: Any) -> Any:
    """A schema without its descriptions, and without the status."""
    if isinstance(node, list):
        return [_undescribed(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _undescribed(value)
        for key, value in node.items()
        if not (key == "description" and isinstance(value, str)) and key != "status"
    }


def schema_of(of: CustomResource) -> dict[str, Any]:
    """The structural schema of the whole object."""
    version: dict[str, Any] = custom_resource_definition(of)["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


if __name__ == "__main__":
    sys.exit(main())
