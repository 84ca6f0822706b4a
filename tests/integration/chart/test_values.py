"""Values: validation, and where each one is rendered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import (
    API,
    CHART,
    FULL,
    NAME,
    SMALL,
    Values,
    config_of,
    helm_template,
    named,
    operators,
    render,
)

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_values_reach_the_operator(tmp_path: Path) -> None:
    config = config_of(render(FULL), tmp_path)
    assert config.runner.image == "registry.test/reports:1.10"
    assert config.runner.image_pull_policy == "Always"
    assert config.runner.output_claim == "1e3"
    assert config.runner.default_resources["requests"] == {
        "cpu": "1", "memory": "1Gi", "ephemeral-storage": "64Mi"
    }  # fmt: skip
    assert config.runner.scratch_size_limit == "1Gi"
    assert config.admission.model_dump() == {
        "max_active": 7, "backfill_headroom": 2, "max_active_per_tier": {"bulk": 0},
        "max_active_per_namespace": 3, "highest_tier": "standard", "highest_priority": "normal",
        "namespaces": {
            "2024": {"max_active": 5, "highest_tier": "critical", "highest_priority": None}
        },
        "start_grace_seconds": 30,
    }  # fmt: skip
    assert config_of(render({}), tmp_path).admission.max_active_per_namespace is None
    assert config.queue_timeout_seconds == 10_000_000
    assert config.allowed_secrets == ["*-db", "2024"]
    assert config.watch_namespaces == FULL["teamNamespaces"]
    assert config_of(render(SMALL), tmp_path).watch_namespaces == ["team-a", "2024"]
    everywhere = config_of(render({"config": {"watchAllNamespaces": True}}), tmp_path)
    assert everywhere.watched == (None,)


def test_a_change_of_configuration_restarts_the_operator() -> None:
    first, again, changed = (
        operators(render(values))["spec"]["template"]
        for values in ({}, {"adminApi": {"replicas": 2}}, {"config": {"resyncSeconds": 60}})
    )
    assert first == again
    assert first != changed


def test_the_policy_knows_the_same_secrets_as_the_operator(tmp_path: Path) -> None:
    """Shell patterns, and what becomes of them as a regular expression."""
    patterns = ["report-*", "*.db", "a?c", "x[0-9]", "y[!a-c]z", "2024"]
    objects = render({"config": {"allowedSecrets": patterns}})
    config = config_of(objects, tmp_path)
    policy = json.dumps(named(objects, "ValidatingAdmissionPolicy", f"{NAME}-own-jobs"))
    (found,) = re.findall(r"secretName\.matches\(r'(.*?)'\)", policy)
    pattern = re.compile(json.loads(f'"{found}"'))
    names = [
        "report-", "report-db", "my-report-db", "report", "a.db", "adb", "abc", "a.c", "abbc",
        "x0", "x", "x10", "xa", "ydz", "yaz", "y-z", "2024", "20245", "12024", "",
    ]  # fmt: skip
    assert {n for n in names if pattern.search(n)} == {n for n in names if config.secret_allowed(n)}
    assert {n for n in names if pattern.search(n)} != set(names)
    nothing = json.dumps(
        named(render({"config": {"allowedSecrets": []}}), "ValidatingAdmissionPolicy",
              f"{NAME}-own-jobs")
    )  # fmt: skip
    (found,) = re.findall(r"secretName\.matches\(r'(.*?)'\)", nothing)
    assert not any(re.search(json.loads(f'"{found}"'), name) for name in names)


def test_the_admin_api_does_not_get_the_operators_identity_in_the_cloud() -> None:
    objects = render({"serviceAccount": {"annotations": {"role": "operator"}}})
    assert operators(objects, "ServiceAccount")["metadata"]["annotations"] == {"role": "operator"}
    assert "annotations" not in named(objects, "ServiceAccount", API)["metadata"]


def test_names_stay_within_their_limits() -> None:
    for found in render(FULL, release="r" * 53):  # the longest that helm takes
        if found["kind"] == "Service":
            assert len(found["metadata"]["name"]) <= 63
        labels = found["metadata"].get("labels", {})
        assert all(len(value) <= 63 for value in labels.values())


def test_the_schema_knows_every_value_and_is_closed() -> None:
    def check(schema: Any, value: Any, path: str) -> None:
        schema = (
            SCHEMA["definitions"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
        )
        if "properties" not in schema:
            return
        # A chart around this one may put values for all of its parts there.
        assert schema.get("additionalProperties") is False or path == ".global", path
        for name, child in (value or {}).items():
            check(schema["properties"][name], child, f"{path}.{name}")

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) == set(SCHEMA["properties"])
    check(SCHEMA, values, "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replica": 1}, "'replica' not allowed"),
        ({"config": {"watchNamespace": []}}, "/config': additional properties 'watchNamespace'"),
        ({"config": {"admission": {"maxActve": 1}}}, "'maxActve' not allowed"),
        (
            {"config": {"admission": {"namespaces": {"a": {"highestTier": "gold"}}}}},
            "/config/admission/namespaces/a/highestTier': value must be one of",
        ),
        ({"resources": {"limit": {}}}, "/resources': additional properties 'limit'"),
        ({"replicas": "two"}, "/replicas': got string, want integer"),
        ({"config": {"resyncSeconds": 1}}, "/config/resyncSeconds': minimum"),
        ({"config": {"allowedSecrets": "report-*"}}, "/config/allowedSecrets': got string"),
        ({"config": {"allowedSecrets": ["a)|(.*"]}}, "/config/allowedSecrets/0': 'a)|(.*' does"),
        ({"config": {"watchAllNamespaces": "yes"}}, "/config/watchAllNamespaces': got string"),
        ({"crds": {"install": "no"}}, "/crds/install': got string, want boolean"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy': value must be one of"),
        (
            {"config": {"runner": {"defaultResources": {"requests": {"cpu": "lots"}}}}},
            "/config/runner/defaultResources/requests/cpu': 'lots' does not match",
        ),
        ({"output": {"size": "much"}}, "/output/size': 'much' does not match"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_wrong_values_are_refused_by_name(values: Values, words: str) -> None:
    done = helm_template(values)
    assert done.code != 0
    assert words in done.err
