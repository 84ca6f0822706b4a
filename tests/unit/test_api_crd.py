"""The CRD: in step with the models, and a schema that a cluster takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from report_operator.crd import generator
from report_operator.crd.definitions import BACKFILL, RESOURCES, SCHEDULE, CustomResource
from report_runner.contract.model import Model

ROOT = Path(__file__).parents[2]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], path + "[]")


def spec(of: CustomResource) -> list[tuple[str, dict[str, Any]]]:
    return list(nodes(generator.schema_of(of)["properties"]["spec"], "spec"))


def status(of: CustomResource) -> list[tuple[str, dict[str, Any]]]:
    return list(nodes(generator.schema_of(of)["properties"]["status"], "status"))


def at(path: str, of: CustomResource = SCHEDULE) -> dict[str, Any]:
    return dict(spec(of) + status(of))[path]


each_resource = pytest.mark.parametrize("of", RESOURCES, ids=lambda of: of.kind)


def test_the_files_are_what_the_models_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert generator.main(["--check"]) == 0, "run python -m report_operator.crd --write"


def test_check_finds_a_difference(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    target = BACKFILL.target
    target.parent.mkdir()
    generator.REFERENCE.parent.mkdir()
    generator.PREVIEW_SCHEMA.parent.mkdir(parents=True)
    assert generator.main(["--check"]) == 1
    assert "run --write" in capsys.readouterr().err
    assert generator.main(["--write"]) == 0
    assert generator.main(["--check"]) == 0
    target.write_text(target.read_text().replace("maximum: 20\n", "maximum: 21\n"))
    assert generator.main(["--check"]) == 1


@each_resource
def test_every_field_is_described_for_kubectl_explain(of):
    bare = [
        path
        for path, node in spec(of) + status(of)
        if not path.endswith("[]") and not node.get("description")
    ]
    assert bare == []


@each_resource
def test_everything_in_spec_has_a_bound(of):
    for path, node in spec(of):
        kind = node.get("type")
        free = node.get("x-kubernetes-preserve-unknown-fields")
        if kind == "string":
            assert "maxLength" in node or "enum" in node, path
        elif kind == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node or path.endswith("inline.rows"), path
        elif kind == "object" and "additionalProperties" in node:
            assert "maxProperties" in node, path
        elif kind is None and free:
            assert {"maxLength", "maxItems", "maxProperties"} <= set(node), path
        elif kind is None:
            assert node.get("x-kubernetes-int-or-string"), path
        if free and kind is not None:
            assert path == "spec.report.charts[].spec"  # the admission policy bounds it


@each_resource
def test_the_operator_writes_the_status_whole(of):
    assert all("default" not in node for path, node in status(of) if path != "status")


@each_resource
def test_object_that_nobody_has_looked_at_says_so(of):
    """kstatus takes an object without a status for finished: `helm install --wait` would pass."""
    seen = at("status", of)["default"]
    assert seen["observedGeneration"] == -1  # no generation is
    assert [(c["type"], c["status"]) for c in seen["conditions"]] == [("Ready", "Unknown")]
    assert of.status.model_validate(seen).conditions[0].reason == "Pending"


def test_a_stored_object_is_complete():
    assert at("spec.timeZone")["default"] == "Etc/UTC"
    assert at("spec.missedRuns")["default"] == {"startWithin": "2h", "policy": "RunLatest"}
    assert at("spec.output")["default"] == {"retention": "7d"}
    assert at("spec.report.formats")["default"] == ["pdf"]
    assert at("spec.reprocess", BACKFILL)["default"] == "missing"
    assert at("spec.maxConcurrent", BACKFILL)["default"] == 2


@each_resource
def test_conditions_are_a_map_by_type(of):
    assert at("status.conditions", of)["x-kubernetes-list-type"] == "map"
    assert at("status.conditions", of)["x-kubernetes-list-map-keys"] == ["type"]


@each_resource
def test_columns_point_at_fields_that_exist(of):
    known = {path for path, _ in spec(of) + status(of)}
    for name, _, path, _ in of.columns:
        field = path.lstrip(".").replace('[?(@.type=="Ready")]', "[]")
        field = field.replace('[?(@.type=="Failing")]', "[]")
        assert field in known or field == "metadata.creationTimestamp", name


def test_only_what_may_change_of_a_backfill_is_free_to():
    rules = at("spec", BACKFILL)["x-kubernetes-validations"]
    held = {rule["fieldPath"] for rule in rules if "oldSelf" in rule["rule"]}
    fields = {f".{name}" for name in at("spec", BACKFILL)["properties"]}
    assert fields - held == {".suspend", ".maxConcurrent"}


def test_what_a_structural_schema_cannot_say_is_an_error():
    class Unknown(Model):
        either: int | str = Field(description="Two kinds.")

    with pytest.raises(ValueError, match="no alternatives"):
        generator._structural(Unknown, defaults=True)

    class Odd(Model):
        odd: int = Field(description="A multiple.", multiple_of=3)

    with pytest.raises(ValueError, match="multipleOf"):
        generator._structural(Odd, defaults=True)


@each_resource
def test_no_default_is_null(of: CustomResource) -> None:
    """The API server drops it: whoever applies the CRD next has a conflict."""
    assert "default: null" not in generator.render(of)
