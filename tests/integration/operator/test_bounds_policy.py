"""A chart's specification that is nested too deeply is refused before it is stored."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hack.testbed.apiserver import Answer
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import MERGE, SCHEDULES, Namespace, report
from hack.testbed.waiting import wait_for
from report_runner.contract.freeform import CHART_LEVELS, ELEMENTS_LIMIT
from tests.support.chart import named, render

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
POLICY = "bounds-adaf-report-scheduler-bounds"


def nested(levels: int, leaf: Any = 1, *, lists: bool = False) -> Any:
    """So many objects or lists in each other."""
    for _ in range(levels):
        leaf = [leaf] if lists else {"a": leaf}
    return leaf


def schedule(name: str, chart: Any) -> dict[str, Any]:
    return {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {"name": name},
        "spec": {
            "reportType": "deep",
            "schedule": "0 6 1 1 *",
            "report": report(charts=[{"name": "c", "source": "facts", "spec": chart}]),
        },
    }


def create(namespace: Namespace, name: str, chart: Any, query: str = "dryRun=All") -> Answer:
    path = namespace.path(SCHEDULES, "reportschedules")
    return namespace.plane.api.call("POST", f"{path}?{query}", schedule(name, chart))


@pytest.fixture(autouse=True)
def deep_json() -> Iterator[None]:
    """Let `json` of this process write and read what is nested deeply."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture
def stored(namespace: Namespace) -> str:
    """A schedule that was stored before there was the policy."""
    assert create(namespace, "before", nested(1100), "").code == 201
    return "before"


@pytest.fixture
def policy(plane: ControlPlane, namespace: Namespace, stored: str) -> Iterator[None]:
    objects = render({}, release="bounds")
    for kind, plural in KINDS.items():
        made = plane.api.call("POST", f"{ADMISSION}/{plural}", named(objects, kind, POLICY))
        assert made.code == 201, made.message
    wait_for("it is in force", lambda: create(namespace, "probe", nested(100)).code == 422, 60)
    yield
    for plural in KINDS.values():
        plane.api.call("DELETE", f"{ADMISSION}/{plural}/{POLICY}")
    wait_for("it is gone", lambda: create(namespace, "probe", nested(100)).code == 201, 60)


@pytest.mark.usefixtures("policy")
def test_depth_and_length_have_a_bound(namespace: Namespace, stored: str) -> None:
    for good in (
        {},
        {"mark": "bar", "encoding": {"x": None}},
        nested(CHART_LEVELS),
        {"layer": nested(CHART_LEVELS - 1, lists=True)},
        {"domain": list(range(ELEMENTS_LIMIT))},
    ):
        assert create(namespace, "good", good).code == 201
    for bad in (
        nested(CHART_LEVELS + 1),
        nested(CHART_LEVELS, leaf={}),
        {"layer": nested(CHART_LEVELS, lists=True)},
        nested(450),
        nested(1100),
        {"domain": list(range(ELEMENTS_LIMIT + 1))},
        {"domain": list(range(200_000))},
        {"values": [list(range(ELEMENTS_LIMIT))] * 200},  # more than an expression may cost
    ):
        answer = create(namespace, "bad", bad)
        assert answer.code == 422
        assert POLICY in answer.message
        assert "spec.report.charts" in answer.message

    # What is stored already can be suspended and labelled, and its charts mended.
    path = namespace.path(SCHEDULES, "reportschedules", stored)
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"suspend": True}}
    namespace.call("PATCH", path, change, MERGE)
    deeper = [{"name": "c", "source": "facts", "spec": nested(40)}]
    change = {"spec": {"report": {"charts": deeper}}}
    assert namespace.plane.api.call("PATCH", path, change, MERGE).code == 422
    namespace.call("PATCH", path, {"spec": {"report": {"charts": None}}}, MERGE)
