"""Runs on a real node: success, and every failure that a team can cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import SECONDS, Team, kubectl


def test_due_slot_runs_and_is_recorded(team: Team) -> None:
    team.apply("due", schedule="* * * * *")
    status = wait_for(
        "a slot ran",
        lambda: team.status("due").get("lastSuccessTime") and team.status("due"),
        SECONDS,
    )
    run = status["recentRuns"][0]
    slot = datetime.fromisoformat(run["slot"])
    assert slot.second == 0
    assert slot <= datetime.now(UTC)
    assert run["job"].startswith("due-")
    assert "manual" not in run or run["manual"] is False
    assert run["outputs"] == [
        f"{run['reportDate'].replace('-', '/')}/{team.namespace}_due_{slot:%Y%m%dT%H%M%SZ}.csv"
    ]
    assert set(run["outputs"]) <= set(team.files())
    assert status["health"] == "Healthy"
    assert status["lastScheduleTime"] >= run["slot"]
    assert "RunSucceeded" in [reason for reason, _ in team.events("due")]


def test_missing_secret_makes_ready_false(team: Team) -> None:
    team.apply(
        "nosecret",
        report={
            "title": "No secret",
            "sources": [
                {
                    "name": "rows",
                    "postgres": {
                        "connection": {"secretRef": {"name": "report-absent"}},
                        "query": "SELECT 1",
                    },
                }
            ],
            "template": {"builtin": "executive_dashboard"},
        },
    )
    team.start("nosecret", "run-1")
    ready = wait_for(
        "Ready says so",
        lambda: (c := team.condition("nosecret", "Ready"))["status"] == "False" and c,
    )
    assert ready["reason"] == "SecretNotFound"
    assert "report-absent" in ready["message"]


def test_killed_pod_is_retried_and_counted_once(team: Team) -> None:
    team.apply("killed", schedule="0 0 1 1 *", retry={"limit": 2})
    team.start("killed", "run-1")
    pod = wait_for(
        "a pod", lambda: team.kubectl("get", "pods", "-o", "name", "-ljob-name=run-1").strip()
    )
    team.kubectl("delete", pod.splitlines()[0], "--grace-period=0", "--force")
    run = team.outcome("killed", "run-1")
    assert run["outcome"] == "Succeeded"
    assert team.status("killed")["runCounts"] == {"Succeeded": 1}


def test_deleting_a_schedule_deletes_its_waiting_run(team: Team) -> None:
    team.apply("gone", resources={"requests": {"cpu": "900"}})
    team.start("gone", "run-1")
    wait_for("a pod", lambda: team.kubectl("get", "pods", "-o", "name").strip())
    team.kubectl("delete", "reportschedule", "gone", "--timeout=60s")
    wait_for(
        "everything is collected",
        lambda: "No resources found" in team.kubectl("get", "cronjobs,jobs,pods", check=False),
    )


def test_unschedulable_run_is_reported_as_delayed(team: Team) -> None:
    team.apply(
        "large", resources={"requests": {"cpu": "900"}}, schedule="* * * * *", lateAfter="1m"
    )
    delayed = wait_for(
        "it is delayed",
        lambda: (c := team.condition("large", "Delayed"))["status"] == "True" and c,
        SECONDS,
    )
    assert delayed["reason"] == "Pending"
    assert "Insufficient cpu" in delayed["message"]
    delay = team.status("large")["delay"]
    assert delay["stage"] == "Pending"
    assert delay["job"].startswith("large-")


def test_edit_leaves_a_started_run_unchanged(team: Team) -> None:
    team.apply("edit", resources={"requests": {"cpu": "900"}})
    before = team.status("edit")["definition"]
    team.start("edit", "run-1")
    team.apply("edit", reportType="another_type")
    assert team.status("edit")["definition"] != before
    job = json.loads(team.kubectl("get", "job", "run-1", "-o", "json"))
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert {"name": before} == next(
        {"name": v["configMap"]["name"]} for v in volumes if "configMap" in v
    )
    team.kubectl("get", "configmap", before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"schedule": "@reboot"}, "CronJob dialect"),
        ({"timeZone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"timeout": "1s"}, "from 10s to 24h"),
        ({"frobnicate": True}, "spec.frobnicate"),
    ],
)
def test_invalid_manifest_is_refused_at_apply(
    team: Team, change: dict[str, object], said: str
) -> None:
    with pytest.raises(AssertionError) as refused:
        team.apply("wrong", **change)
    assert said in str(refused.value)


def test_namespace_with_schedules_can_be_deleted(make_team: Callable[..., Team]) -> None:
    team = make_team()
    team.apply("some", schedule="* * * * *")
    team.run("some")
    kubectl("delete", "namespace", team.namespace, "--timeout=120s")
    assert "NotFound" in kubectl("get", "namespace", team.namespace, check=False)
