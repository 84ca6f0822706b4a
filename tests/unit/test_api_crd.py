"""The CRD: in step with the models, and a schema that a cluster takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from report_operator import crd
from report_runner.contract.model import Model

ROOT = Path(__file__).parents[2]
SCHEMA = crd.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], path + "[]")


SPEC = list(nodes(SCHEMA["properties"]["spec"], "spec"))
STATUS = list(nodes(SCHEMA["properties"]["status"], "status"))


def at(path: str) -> dict[str, Any]:
    return dict(SPEC + STATUS)[path]


def test_the_files_are_what_the_models_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert crd.main(["--check"]) == 0, "run python -m report_operator.crd --write"


def test_check_finds_a_difference(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    crd.TARGET.parent.mkdir()
    crd.REFERENCE.parent.mkdir()
    assert crd.main(["--check"]) == 1
    assert "run --write" in capsys.readouterr().err
    assert crd.main(["--write"]) == 0
    assert crd.main(["--check"]) == 0
    crd.TARGET.write_text(crd.TARGET.read_text().replace("maximum: 10\n", "maximum: 11\n"))
    assert crd.main(["--check"]) == 1


def test_every_field_is_described_for_kubectl_explain():
    bare = [
        path
        for path, node in SPEC + STATUS
        if not path.endswith("[]") and not node.get("description")
    ]
    assert bare == []


def test_everything_in_spec_has_a_bound():
    for path, node in SPEC:
        kind = node.get("type")
        free = node.get("x-kubernetes-preserve-unknown-fields")
        if kind == "string":
            assert "maxLength" in node or "enum" in node, path
        elif kind == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node or path.endswith("inline.rows"), path
        elif kind == "object" and "additionalProperties" in node:
            assert "maxProperties" in node, path
        elif kind is None:
            assert node.get("x-kubernetes-int-or-string"), path
        if free:
            assert path in {
                "spec.report.parameters",
                "spec.report.sources[].inline.rows[]",
                "spec.report.charts[].spec",
            }


def test_a_stored_object_is_complete():
    assert at("spec.timeZone")["default"] == "Etc/UTC"
    assert at("spec.missedRuns")["default"] == {"startWithin": "2h", "policy": "RunLatest"}
    assert at("spec.output")["default"] == {"retention": "7d"}
    assert at("spec.report.formats")["default"] == ["pdf"]
    assert all("default" not in node for _, node in STATUS), "the operator writes the status whole"


def test_conditions_are_a_map_by_type():
    assert at("status.conditions")["x-kubernetes-list-type"] == "map"
    assert at("status.conditions")["x-kubernetes-list-map-keys"] == ["type"]


def test_columns_point_at_fields_that_exist():
    known = {path for path, _ in SPEC + STATUS}
    for name, _, path, _ in crd.COLUMNS:
        field = path.lstrip(".").replace('[?(@.type=="Ready")]', "[]")
        field = field.replace('[?(@.type=="Failing")]', "[]")
        assert field in known or field == "metadata.creationTimestamp", name


def test_what_a_structural_schema_cannot_say_is_an_error():
    class Unknown(Model):
        either: int | str = Field(description="Two kinds.")

    with pytest.raises(ValueError, match="no alternatives"):
        crd._structural(Unknown, defaults=True)

    class Odd(Model):
        odd: int = Field(description="A multiple.", multiple_of=3)

    with pytest.raises(ValueError, match="multipleOf"):
        crd._structural(Odd, defaults=True)
