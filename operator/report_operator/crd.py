"""Writes the CRD from the typed models: `python -m report_operator.crd --write | --check`.

The models are the one place where a field is declared; this only translates pydantic's JSON
schema into the structural schema that the API server takes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from report_operator.api.v1alpha1 import resource
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.cron import schema_pattern

TARGET = Path("crds") / f"{resource.GROUP}_{resource.PLURAL}.yaml"

SCHEDULE_MESSAGE = (
    "schedule is not in the CronJob dialect: use five fields (minute 0-59, hour 0-23, day 1-31, "
    "month 1-12, weekday 0-6 or SUN-SAT) such as '0 6 * * 1-5', or @hourly, @daily, @weekly, "
    "@monthly, @yearly, @every 1h; the zone goes into timeZone"
)
ZONE_MESSAGE = "timeZone has to be an IANA name such as Europe/Madrid or Etc/UTC"

# What only the API server checks by itself, Python by report_operator.domain.cron.
FIELD_RULES = {
    "schedule": (f"self.matches('{schema_pattern()}')", SCHEDULE_MESSAGE),
    "timeZone": (
        "self.lowerAscii() != 'local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",
        ZONE_MESSAGE,
    ),
}

# name, type, JSON path, wide only
COLUMNS = (
    ("Schedule", "string", ".spec.schedule", False),
    ("Time Zone", "string", ".spec.timeZone", False),
    ("Suspended", "boolean", ".spec.suspend", False),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', False),
    ("Health", "string", ".status.health", False),
    ("Last Success", "date", ".status.lastSuccessTime", False),
    # A string, since kubectl prints a date that is yet to come as <invalid>.
    ("Next", "string", ".status.nextScheduleTime", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("Type", "string", ".spec.reportType", True),
    ("Tier", "string", ".spec.tier", True),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', True),
    ("Failure", "string", '.status.conditions[?(@.type=="Failing")].reason', True),
    ("Failures", "integer", ".status.consecutiveFailures", True),
    ("Delay", "string", ".status.delay.stage", True),
    ("Queued", "integer", ".status.queued", True),
    ("Active", "integer", ".status.active", True),
)

DROPPED = ("title", "additionalProperties", "$defs", "const")


class _SchemaWithDefaults(GenerateJsonSchema):
    """Pydantic leaves out defaults that a factory makes; a stored object is to have them."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        factory = schema.get("default_factory")
        if factory is not None and not schema.get("default_factory_takes_data"):
            made: Any = factory()  # type: ignore[call-arg]
            inner = self.generate_inner(schema["schema"])
            if isinstance(made, BaseModel):
                return {
                    **inner,
                    "default": made.model_dump(mode="json", by_alias=True, exclude_none=True),
                }
            return {**inner, "default": self.encode_default(made)}
        return super().default_schema(schema)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain data."""
    spec = _structural(ReportScheduleSpec)
    for field, (rule, message) in FIELD_RULES.items():
        spec["properties"][field]["x-kubernetes-validations"] = [{"rule": rule, "message": message}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.PLURAL}.{resource.GROUP}"},
        "spec": {
            "group": resource.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.KIND,
                "listKind": f"{resource.KIND}List",
                "plural": resource.PLURAL,
                "singular": resource.SINGULAR,
                "shortNames": list(resource.SHORT_NAMES),
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
                        for name, kind, path, wide in COLUMNS
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": "A business report and when it is due.",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": _structural(ReportScheduleStatus),
                            },
                        }
                    },
                }
            ],
        },
    }


def _structural(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, schema_generator=_SchemaWithDefaults)
    found: dict[str, Any] = _translate(schema, schema.get("$defs", {}))
    return found


def _translate(node: Any, definitions: dict[str, Any]) -> Any:
    """One node of pydantic's schema → the API server's structural schema."""
    if isinstance(node, list):
        return [_translate(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    if "anyOf" in node:  # Optional[X]: a field that may be left out, never null
        kinds = [kind for kind in node["anyOf"] if kind != {"type": "null"}]
        if len(kinds) != 1:
            raise ValueError(f"a structural schema has no alternatives: {node}")
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        return _translate({**kinds[0], **rest}, definitions)
    free = node.get("additionalProperties")
    out = {
        key: value if key in ("default", "enum", "required") else _translate(value, definitions)
        for key, value in node.items()
        if key not in DROPPED
        and key not in ("properties", "propertyNames")
        and not (key == "default" and value is None)
    }
    if "properties" in node:
        out["properties"] = {
            name: _translate(child, definitions) for name, child in node["properties"].items()
        }
    if isinstance(free, dict):
        out["additionalProperties"] = _translate(free, definitions)
    names = node.get("propertyNames", {}).get("enum")
    if names:
        allowed = ", ".join(f"'{name}'" for name in names)
        out["x-kubernetes-validations"] = [
            {"rule": f"self.all(key, key in [{allowed}])", "message": f"only {allowed} can be set"}
        ]
    if out.get("x-kubernetes-preserve-unknown-fields") and out.get("type") == "object":
        out.pop("properties", None)
    if out.get("format") == "date":
        del out["format"]
        out["pattern"] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
    return out


class _NoAliases(yaml.SafeDumper):
    """Anchors in a CRD help nobody."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the base class's signature)
        """Never."""
        return True


def render() -> str:
    """The CRD's YAML, with a line that says where it comes from."""
    body = yaml.dump(custom_resource_definition(), Dumper=_NoAliases, sort_keys=False, width=100)
    return (
        f"# Generated by `python -m report_operator.crd --write`: edit the models instead.\n{body}"
    )


def main(argv: list[str] | None = None) -> int:
    """Write the file, or say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="report_operator.crd")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help="write the file")
    group.add_argument("--check", action="store_true", help="fail where the file is not the same")
    args = parser.parse_args(argv)
    text = render()
    if args.write:
        TARGET.write_text(text)
        return 0
    if not TARGET.exists() or TARGET.read_text() != text:
        print(f"{TARGET} differs from the models: run --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
