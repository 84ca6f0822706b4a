"""The pods of runs: what the operator's configuration decides, and what an author may."""

from dataclasses import replace

import pytest
from factories import make_schedule
from test_schedules_desired import LABELS, SETTINGS, SINCE

from report_operator.api.v1alpha1.placement import ResourceRequirements
from report_operator.domain.schedules.desired import desired_cronjob, freeze_definition
from report_operator.domain.schedules.pods import run_resources
from report_runner.contract import pod as podcontract


def template(spec=None, **settings):
    schedule = make_schedule(spec)
    cronjob = desired_cronjob(
        schedule, freeze_definition(schedule, None), replace(SETTINGS, **settings), SINCE
    )
    return cronjob["spec"]["jobTemplate"]["spec"]["template"]


def test_the_operators_configuration_decides() -> None:
    made = template(
        image_pull_secrets=["one", "two"],
        labels={"cost-centre": "7"},
        annotations={"example.com/inject": "false"},
        priority_class_name="reports",
    )
    assert made["metadata"] == {
        "labels": {"cost-centre": "7", **LABELS},
        "annotations": {"example.com/inject": "false"},
    }
    assert made["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert made["spec"]["priorityClassName"] == "reports"


def test_nothing_is_said_where_the_configuration_says_nothing() -> None:
    made = template()
    assert made["metadata"] == {"labels": LABELS}
    assert not {"imagePullSecrets", "priorityClassName", "nodeSelector", "tolerations"} & set(
        made["spec"]
    )


def test_our_labels_are_never_overridden() -> None:
    made = template(labels={"reports.adaf.io/schedule-uid": "x", "a": "b"})
    assert made["metadata"]["labels"] == {"a": "b", **LABELS}


def test_an_author_narrows_the_choice_of_nodes_and_does_not_leave_it() -> None:
    made = template(
        {
            "nodeSelector": {"pool": "critical", "disk": "ssd"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
        },
        node_selector={"pool": "reports"},
        tolerations=[{"key": "reports", "operator": "Exists"}],
    )
    assert made["spec"]["nodeSelector"] == {"pool": "reports", "disk": "ssd"}
    assert made["spec"]["tolerations"] == [
        {"key": "reports", "operator": "Exists"},
        {"key": "a", "operator": "Exists"},
    ]


def test_the_platform_may_choose_user_and_group() -> None:
    fixed, free = template()["spec"], template(arbitrary_user=True)["spec"]
    users = {"runAsUser", "runAsGroup", "fsGroup"}
    assert {fixed["securityContext"][name] for name in users} == {65532}
    assert not users & set(free["securityContext"])
    assert free["securityContext"]["runAsNonRoot"] is True
    assert free["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_where_runs_may_connect_to_is_in_their_environment() -> None:
    def egress(**settings):
        (container,) = template(**settings)["spec"]["containers"]
        return [e for e in container["env"] if e["name"] == podcontract.ENV_EGRESS_ALLOW]

    assert egress() == []
    allowed = ("10.1.0.0/16", "api.data.svc:8080")
    assert egress(egress_allow=allowed) == [
        {"name": podcontract.ENV_EGRESS_ALLOW, "value": "10.1.0.0/16,api.data.svc:8080"}
    ]


DEFAULT = {
    "requests": {"cpu": "100m", "memory": "192Mi", "ephemeral-storage": "64Mi"},
    "limits": {"memory": "768Mi", "ephemeral-storage": "512Mi"},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, DEFAULT),
        ({}, DEFAULT),
        # Without these a pod would have no limit at all.
        ({"requests": {}, "limits": {}}, DEFAULT),
        (
            {"limits": {"cpu": "1", "memory": "2Gi"}},
            {
                "requests": DEFAULT["requests"],
                "limits": {**DEFAULT["limits"], "cpu": "1", "memory": "2Gi"},
            },
        ),
        # A default gives way to the author's other amount.
        (
            {"limits": {"memory": "100Mi"}},
            {
                "requests": {**DEFAULT["requests"], "memory": "100Mi"},
                "limits": {**DEFAULT["limits"], "memory": "100Mi"},
            },
        ),
        (
            {"requests": {"memory": "1.5Gi"}},
            {
                "requests": {**DEFAULT["requests"], "memory": "1.5Gi"},
                "limits": {**DEFAULT["limits"], "memory": "1.5Gi"},
            },
        ),
    ],
)  # fmt: skip
def test_every_run_has_the_limits_that_the_platform_engineer_set(asked, expected) -> None:
    requirements = None if asked is None else ResourceRequirements.model_validate(asked)
    assert run_resources(requirements, DEFAULT) == expected


def test_no_default_is_no_limit() -> None:
    assert run_resources(None, {}) == {}
