"""Writes the CRDs and the field reference: `python -m report_operator.crd --write | --check`.

The typed models are the one place where a field is declared; this only translates pydantic's JSON
schema into the structural schema that the API server takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from report_operator.api.v1alpha1 import backfill, resource
from report_operator.api.v1alpha1.backfill import ReportBackfillSpec, ReportBackfillStatus
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.cron import schema_pattern
from report_operator.reference import render_reference
from report_runner.contract.model import Model
from report_runner.contract.rules import VALIDATIONS, quoted

REFERENCE = Path("docs") / "reference.md"

Rules = Sequence[Mapping[str, str]]

SCHEDULE_MESSAGE = (
    "write a schedule in the CronJob dialect: five fields (minute 0-59, hour 0-23, day 1-31, "
    "month 1-12 or JAN-DEC, weekday 0-6 or SUN-SAT) such as '0 6 * * 1-5', or @hourly, @daily, "
    "@weekly, @monthly, @yearly, @every 1h"
)
ZONE_MESSAGE = "write the IANA name of a time zone, such as Europe/Madrid or Etc/UTC"
TZ_MESSAGE = "name the time zone in the field timeZone, not in the schedule"

# What only the API server checks by itself, Python by report_operator.domain.cron.
_ZONE_PART = "[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}"
SCHEDULE_RULES: Mapping[str, Rules] = {
    "schedule": (
        {"rule": "!self.contains('TZ')", "message": TZ_MESSAGE},
        {
            "rule": f"self.contains('TZ') || self.matches({quoted(schema_pattern())})",
            "message": SCHEDULE_MESSAGE,
        },
    ),
    "timeZone": (
        {
            # getHours() takes an offset as well, and fails where there is no such zone.
            "rule": f"self.matches('^{_ZONE_PART}(/{_ZONE_PART})*$') && "
            "self.lowerAscii() != 'local' && "
            "timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",
            "message": ZONE_MESSAGE,
        },
    ),
}


def _unchangeable(model: type[Model], mutable: Sequence[str]) -> Rules:
    """A rule for each field that stays as it was created: only the API server sees the change."""
    rules = []
    for known in model.model_fields.values():
        name = known.alias or ""
        if name in mutable:
            continue
        same = f"self.{name} == oldSelf.{name}"
        rules.append(
            {
                "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})",
                "message": f"{name} cannot be changed, only {' and '.join(mutable)} can: delete "
                "the object and create another",
                "fieldPath": f".{name}",
            }
        )
    return rules


# name, type, JSON path, wide only
SCHEDULE_COLUMNS = (
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
    ("Last Run", "string", '.status.conditions[?(@.type=="Failing")].reason', True),
    ("Failures", "integer", ".status.consecutiveFailures", True),
    ("Delay", "string", ".status.delay.stage", True),
    ("Queued", "integer", ".status.queued", True),
    ("Active", "integer", ".status.active", True),
)
BACKFILL_COLUMNS = (
    ("Progress", "string", ".status.progress", False),
    ("Failed", "integer", ".status.failed", False),
    ("Running", "integer", ".status.running", False),
    ("State", "string", ".status.state", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("From", "string", ".spec.startDate", True),
    ("To", "string", ".spec.endDate", True),
    ("Reprocess", "string", ".spec.reprocess", True),
    ("Cursor", "string", ".status.cursor.slot", True),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', True),
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A custom resource: its names, its models, and what the models do not say."""

    kind: str
    plural: str
    singular: str
    short_names: Sequence[str]
    description: str
    spec: type[Model]
    status: type[Model]
    columns: Sequence[tuple[str, str, str, bool]]
    field_rules: Mapping[str, Rules] = field(default_factory=dict)
    spec_rules: Rules = ()

    @property
    def target(self) -> Path:
        """Where its CRD is kept."""
        return Path("crds") / f"{resource.GROUP}_{self.plural}.yaml"


SCHEDULE = Resource(
    kind=resource.KIND,
    plural=resource.PLURAL,
    singular=resource.SINGULAR,
    short_names=resource.SHORT_NAMES,
    description="A business report and when it is due.",
    spec=ReportScheduleSpec,
    status=ReportScheduleStatus,
    columns=SCHEDULE_COLUMNS,
    field_rules=SCHEDULE_RULES,
)
BACKFILL = Resource(
    kind=backfill.KIND,
    plural=backfill.PLURAL,
    singular=backfill.SINGULAR,
    short_names=backfill.SHORT_NAMES,
    description="Runs of ReportSchedules for past dates.",
    spec=ReportBackfillSpec,
    status=ReportBackfillStatus,
    columns=BACKFILL_COLUMNS,
    spec_rules=_unchangeable(ReportBackfillSpec, backfill.MUTABLE),
)
RESOURCES = (SCHEDULE, BACKFILL)

# Keywords of JSON schema that a structural schema has no place for, or that say nothing in it.
DROPPED = ("title", "additionalProperties", "$defs", "properties", "propertyNames")
KEPT = (
    *("default", "description", "enum", "format", "items", "required", "type"),
    *("maxItems", "maxLength", "maxProperties", "maximum"),
    *("minItems", "minLength", "minProperties", "minimum"),
)


class _SchemaWithDefaults(GenerateJsonSchema):
    """Pydantic leaves out defaults that a factory makes; a stored object is to have them."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        factory = schema.get("default_factory")
        if factory is not None and not schema.get("default_factory_takes_data"):
            made: Any = factory()  # type: ignore[call-arg]
            wire = made.to_wire() if isinstance(made, Model) else self.encode_default(made)
            inner = self.generate_inner(schema["schema"])
            # An empty list or object is what an absent one means already.
            return {**inner, "default": wire} if wire else inner
        return super().default_schema(schema)


def custom_resource_definition(of: Resource) -> dict[str, Any]:
    """The CustomResourceDefinition as plain data."""
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
                                "status": _structural(of.status, defaults=False),
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
        if key in DROPPED or (key == "default" and not defaults):
            continue
        if key not in KEPT and not key.startswith("x-kubernetes-"):
            raise ValueError(f"{key}: no keyword of a structural schema that is known here: {node}")
        out[key] = _translate(value, definitions, defaults) if key == "items" else value
    preset = out.get("default")
    if preset is not None and "description" in out and not isinstance(preset, dict):
        # kubectl explain does not show defaults.
        shown = preset if isinstance(preset, str) else json.dumps(preset)
        out["description"] += f" Default: {shown}."
    if "properties" in node:
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
    """Anchors in a CRD help nobody."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the base class's signature)
        """Never."""
        return True


def render(of: Resource) -> str:
    """The CRD's YAML, with a line that says where it comes from."""
    body = yaml.dump(custom_resource_definition(of), Dumper=_NoAliases, sort_keys=False, width=100)
    return (
        f"# Generated by `python -m report_operator.crd --write`: edit the models instead.\n{body}"
    )


def main(argv: list[str] | None = None) -> int:
    """Write the files, or say whether they are up to date."""
    parser = argparse.ArgumentParser(prog="report_operator.crd")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help="write the files")
    group.add_argument("--check", action="store_true", help="fail where a file is not the same")
    args = parser.parse_args(argv)
    texts = {of.target: render(of) for of in RESOURCES}
    texts[REFERENCE] = "\n".join(
        render_reference(of.kind, of.plural, schema_of(of)) for of in RESOURCES
    )
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


def schema_of(of: Resource) -> dict[str, Any]:
    """The structural schema of the whole object."""
    version: dict[str, Any] = custom_resource_definition(of)["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


if __name__ == "__main__":
    sys.exit(main())
