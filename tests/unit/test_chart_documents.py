"""What the chart says about itself, and what its checkers' findings are held to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hack import chart_values
from hack.chart_check import findings
from hack.chart_check.findings import Explanation, Finding

ROOT = Path(__file__).parents[2]


def test_readme_and_schema_say_what_the_values_say() -> None:
    stale = [path.name for path, text in chart_values.files().items() if path.read_text() != text]
    assert stale == [], "python -m hack.chart_values --write"


def test_a_value_that_nothing_describes_is_found() -> None:
    with pytest.raises(ValueError, match="no comment describes b"):
        chart_values.parse("a: 1  # said\n\nb: 2\n")
    with pytest.raises(ValueError, match=r"does not have a\.b"):
        chart_values.described(
            {"properties": {"a": {"properties": {}}}, "definitions": {}},
            chart_values.parse("a:\n  b: 1  # said\n"),
        )


def test_comments_become_descriptions() -> None:
    text = (
        "# Of all.\nlimits:\n  # One,\n  # and more\n  cpu: \"a # b\"  # behind it\n"
        "#  - {an: example}\nmemory: 3  # of the pod\nother:\n  memory: 2\n  size: 1  # of it\n"
        "  weight: 2  # likewise\n"
    )  # fmt: skip
    found = {value.path: (value.default, value.description) for value in chart_values.parse(text)}
    assert found == {
        "limits": ("", "Of all."),
        "limits.cpu": ('"a # b"', "One, and more behind it."),
        "other": ("", ""),
        "memory": ("3", "Of the pod."),
        "other.memory": ("2", "As `memory`."),
        "other.size": ("1", "Of it."),
        "other.weight": ("2", "Of it."),
    }


def test_artifact_hub_is_told_of_the_crds_that_there_are() -> None:
    about = yaml.safe_load((chart_values.CHART / "Chart.yaml").read_text())
    told = yaml.safe_load(about["annotations"]["artifacthub.io/crds"])
    crds = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    assert {(one["name"], one["kind"], one["version"]) for one in told} == {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], version["name"])
        for crd in crds
        for version in crd["spec"]["versions"]
    }


FINDINGS = [Finding("t", "one", "Pod/a", ""), Finding("t", "two", "Pod/b", "words")]


def test_a_finding_is_explained_or_new_and_an_explanation_is_needed_or_stale() -> None:
    needed = Explanation("t", "one", ("Pod/*",), "because of this and that")
    stale = Explanation("t", "two", ("Job/*", "Pod/c"), "because of this and that")
    new, old = findings.verdict(FINDINGS, [needed, stale])
    assert new == [FINDINGS[1]]
    assert [item.objects for item in old] == [("Job/*",), ("Pod/c",)]
    assert findings.verdict(FINDINGS[:1], [needed]) == ([], [])


def test_explanations_give_a_reason() -> None:
    listed = yaml.safe_load((ROOT / "hack/chart_check/explained.yaml").read_text())
    assert len(findings.explanations(listed)) == len(listed) > 10
    with pytest.raises(ValueError, match="no reason"):
        findings.explanations([{"tool": "t", "check": "c", "objects": ["*"], "why": "so"}])


def test_the_output_of_each_checker_is_read() -> None:
    score = [
        {
            "type_meta": {"kind": "Pod"},
            "object_meta": {"name": "a"},
            "checks": [
                {"check": {"id": "bad", "name": "n"}, "grade": 1, "skipped": False,
                 "comments": [{"summary": "s"}]},
                {"check": {"id": "good", "name": "n"}, "grade": 10, "skipped": False,
                 "comments": None},
                {"check": {"id": "left", "name": "n"}, "grade": 0, "skipped": True,
                 "comments": None},
            ],
        }
    ]  # fmt: skip
    assert findings.kube_score(json.dumps(score)) == [Finding("kube-score", "bad", "Pod/a", "s")]
    failed = {"check_id": "C", "resource": "Pod.ns.a.b", "check_name": "w"}
    text = json.dumps({"results": {"failed_checks": [failed]}})
    assert findings.checkov(text) == [Finding("checkov", "C", "Pod/a.b", "w")]
    assert findings.checkov('{"passed": 1}') == []
    resources = [
        {"kind": "Pod", "name": "a", "status": "statusValid"},
        {"kind": "Pod", "name": "b", "status": "statusInvalid", "msg": "m"},
    ]
    text = json.dumps({"resources": resources})
    assert findings.kubeconform(text) == [Finding("kubeconform", "statusInvalid", "Pod/b", "m")]
