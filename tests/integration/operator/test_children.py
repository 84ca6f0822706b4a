"""Owned resources of a ReportSchedule: created, repaired, left alone where they are another's."""

from __future__ import annotations

from typing import Any

import pytest

from hack.testbed.namespace import (
    BATCH,
    CORE,
    SCHEDULES,
    Namespace,
    report,
)
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from tests.support.proxy import Proxy


def definition_of(cronjob: dict[str, Any]) -> str:
    annotations = cronjob["spec"]["jobTemplate"]["metadata"]["annotations"]
    return str(annotations[names.ANNOTATION_DEFINITION])


def test_deleted_owned_resources_are_recreated(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    status = namespace.wait_until_observed("daily")
    before = namespace.cronjob("daily")
    assert before is not None
    namespace.call("DELETE", namespace.path(CORE, "configmaps", status["definition"]))
    namespace.call("DELETE", namespace.path(BATCH, "cronjobs", "daily"))
    after = wait_for("a new CronJob", lambda: namespace.cronjob("daily"), 60, operator.log)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    wait_for("the definition", lambda: namespace.find(CORE, "configmaps", status["definition"]), 60)


def test_edited_cronjob_is_restored(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    path = namespace.path(BATCH, "cronjobs", "daily")
    namespace.call(
        "PATCH", path, {"spec": {"schedule": "* * * * *"}}, "application/merge-patch+json"
    )
    wait_for(
        "the schedule is as declared",
        lambda: (found := namespace.cronjob("daily")) and found["spec"]["schedule"] == "0 0 1 1 *",
        60,
        operator.log,
    )


def test_cronjob_of_another_owner_is_left_alone(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    container = {"name": "c", "image": "none"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    foreign = {
        "metadata": {"name": "daily"},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pod}}},
    }
    made = namespace.call("POST", namespace.path(BATCH, "cronjobs"), foreign)
    namespace.apply("daily")
    ready = namespace.wait_for_ready("daily", "NameConflict")
    assert ready["status"] == "False"
    assert "CronJob daily that is not ours" in ready["message"]
    assert namespace.cronjob("daily") == made
    namespace.call("DELETE", namespace.path(BATCH, "cronjobs", "daily"))
    namespace.wait_for_ready("daily", "Ready", 90)
    cronjob = namespace.cronjob("daily")
    assert cronjob is not None
    assert cronjob["metadata"]["ownerReferences"][0]["name"] == "daily"


def test_recreated_schedule_gets_its_own_resources(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.call("DELETE", namespace.path(SCHEDULES, "reportschedules", "daily"))
    namespace.apply("daily")
    uid = namespace.schedule("daily")["metadata"]["uid"]
    wait_for(
        "the new one's CronJob",
        lambda: (
            (found := namespace.cronjob("daily"))
            and found["metadata"]["ownerReferences"][0]["uid"] == uid
        ),
        90,
        operator.log,
    )
    namespace.wait_for_ready("daily", "Ready")


def test_deleted_schedule_leaves_nothing_behind(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    status = namespace.wait_until_observed("daily")
    namespace.call("DELETE", namespace.path(SCHEDULES, "reportschedules", "daily"))
    wait_for(
        "children are collected",
        lambda: (
            namespace.cronjob("daily") is None
            and namespace.find(CORE, "configmaps", status["definition"]) is None
        ),
        60,
    )


def test_longest_schedule_name_works(namespace: Namespace, operator: OperatorProcess) -> None:
    name = "n" * 253
    namespace.apply(name)
    status = namespace.wait_until_observed(name)
    assert len(status["cronJob"]) <= 52
    namespace.start(name, "run-1")
    namespace.end_pod(namespace.pod_of("run-1"))
    counts = wait_for("its outcome", lambda: namespace.status(name).get("runCounts"))
    assert counts == {"Succeeded": 1}


def test_edit_creates_a_definition_and_keeps_that_of_active_runs(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    before = namespace.wait_until_observed("daily")["definition"]
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    namespace.apply("daily", report=report(title="Another"))
    after = namespace.wait_until_observed("daily")["definition"]
    assert after != before
    operator.wait_for_resyncs()  # it removes definitions that nothing uses
    assert namespace.find(CORE, "configmaps", before) is not None
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    assert volumes["definition"]["configMap"]["name"] == before
    namespace.end_pod(pod)
    wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"))


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (
            {"report": report(template={"configMapRef": {"name": "texts", "key": "absent"}})},
            "TemplateNotFound",
            "absent",
        ),
        (
            {"report": report(template={"configMapRef": {"name": "texts", "key": "broken"}})},
            "TemplateInvalid",
            "line 2",
        ),
        (
            {
                "report": report(
                    sources=[
                        {
                            "name": "facts",
                            "postgres": {
                                "connection": {"secretRef": {"name": "root-password"}},
                                "query": "SELECT 1",
                            },
                        }
                    ]
                )
            },
            "SecretNotAllowed",
            "root-password",
        ),
    ],
)
def test_invalid_spec_keeps_the_last_good_cronjob(
    namespace: Namespace,
    operator: OperatorProcess,
    change: dict[str, Any],
    reason: str,
    said: str,
) -> None:
    texts = {"broken": "<p>fine</p>\n{% for %}"}
    namespace.call(
        "POST", namespace.path(CORE, "configmaps"), {"metadata": {"name": "texts"}, "data": texts}
    )
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    good = namespace.cronjob("daily")
    assert good is not None
    namespace.apply("daily", schedule="30 5 * * *", **change)
    ready = namespace.wait_for_ready("daily", reason)
    assert ready["status"] == "False"
    assert "spec.report" in ready["message"]
    assert said in ready["message"]
    still = namespace.cronjob("daily")
    assert still is not None
    assert still["spec"] == good["spec"]
    namespace.apply("daily")
    namespace.wait_for_ready("daily", "Ready")


def test_idle_operator_writes_nothing(
    namespace: Namespace, operator: OperatorProcess, proxy: Proxy
) -> None:
    for number in range(20):
        namespace.apply(f"daily-{number}")
    for number in range(20):
        namespace.wait_until_observed(f"daily-{number}")
    operator.wait_for_resyncs(1)
    before = len(proxy.writes)
    operator.wait_for_resyncs(3)
    assert proxy.writes[before:] == []
