"""What may be written to ask for a run by an annotation: the policy on a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.testbed.apiserver import Answer
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import MERGE, SCHEDULES, Namespace
from hack.testbed.waiting import wait_for
from report_operator.domain.names import ANNOTATION_RETRY_REQUESTED, ANNOTATION_RUN_REQUESTED
from tests.support.chart import named, render

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
POLICY = "asking-adaf-report-scheduler-requests"


def annotate(
    namespace: Namespace, key: str, value: str | None, query: str = "dryRun=All"
) -> Answer:
    path = f"{namespace.path(SCHEDULES, 'reportschedules', 'daily')}?{query}"
    body = {"metadata": {"annotations": {key: value}}}
    return namespace.plane.api.call("PATCH", path, body, MERGE)


@pytest.fixture
def policy(plane: ControlPlane, namespace: Namespace) -> Iterator[None]:
    namespace.apply("daily")
    assert annotate(namespace, ANNOTATION_RUN_REQUESTED, "of old", "").code == 200
    objects = render({}, release="asking")
    for kind, plural in KINDS.items():
        made = plane.api.call("POST", f"{ADMISSION}/{plural}", named(objects, kind, POLICY))
        assert made.code == 201, made.message
    wait_for(
        "it is in force", lambda: annotate(namespace, ANNOTATION_RUN_REQUESTED, "x").code > 400
    )
    yield
    for plural in KINDS.values():
        plane.api.call("DELETE", f"{ADMISSION}/{plural}/{POLICY}")


@pytest.mark.usefixtures("policy")
def test_typo_is_told_at_once_and_holds_up_nothing_else(namespace: Namespace) -> None:
    for key, good, bad in (
        (
            ANNOTATION_RUN_REQUESTED,
            ("2026-11-24T06:00:00Z", "2026-11-24T06:00:00.5+01:00"),
            ("now", "2026-11-24", "2026-11-24T06:00:00", "2026-11-24T06:00:00Z ", "x" * 100_000),
        ),
        (
            ANNOTATION_RETRY_REQUESTED,
            ("daily-29924940", "daily-29924940-2"),
            ("reports/daily-1", "Daily", "a" * 64, ""),
        ),
    ):
        for value in good:
            assert annotate(namespace, key, value).code == 200, value
        for value in bad:
            answer = annotate(namespace, key, value)
            assert answer.code == 422, value
            assert key in answer.message
            assert "such as" in answer.message
    # What was written before may stay, be changed beside, and go.
    assert annotate(namespace, "a", "b", "").code == 200
    assert annotate(namespace, ANNOTATION_RUN_REQUESTED, None, "").code == 200
