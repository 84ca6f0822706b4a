"""Backfills requested through the admin API, as the runbook does after an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.testbed.admin_api import Answer, Api
from hack.testbed.namespace import Namespace
from hack.testbed.waiting import wait_for
from tests.support.backfills import Backfills, Kubelet
from tests.support.cli import Cli

PATH = "/api/admin/reports/backfill"
LISTED = "/api/admin/reports/backfills"
RUNBOOK = {"start_date": "2025-01-08", "end_date": "2025-01-09", "report_types": ["critical"]}


@pytest.fixture(autouse=True)
def schedules(namespace: Namespace, api: Api) -> None:
    """Two schedules, one of them critical."""
    for name, tier in (("dashboard", "critical"), ("positions", "bulk")):
        namespace.apply(
            name, reportType=f"type_{name}", tier=tier, schedule="0 6 * * *", suspend=True
        )
        namespace.wait_until_observed(name)


def asked(api: Api, **headers: str) -> list[dict[str, Any]]:
    answer = api.call("POST", PATH, RUNBOOK, **headers)
    assert answer.status == 202, answer.text
    return list(answer.body["backfills"])


def test_backfill_of_the_runbook(namespace: Namespace, api: Api) -> None:
    (made,) = asked(api)
    assert (made["namespace"], made["tiers"]) == (namespace.name, ["critical"])
    assert (made["reprocess"], made["dry_run"]) == ("missing", False)
    kubelet = Kubelet(namespace)
    kubelet.work_until(
        "the two reports are made", lambda: newest(api)["state"] == "Succeeded", 90,
        lambda: newest(api),
    )  # fmt: skip
    assert newest(api)["progress"] == "2/2"
    jobs = api.jobs(status="succeeded")
    assert [job["report_date"] for job in jobs] == ["2025-01-09", "2025-01-08"]
    assert {(job["report_type"], job["backfill"]) for job in jobs} == {
        ("type_dashboard", made["name"])
    }


def newest(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get(LISTED).body["backfills"][0]
    return found


def test_repeated_request_returns_the_same_backfill(namespace: Namespace, api: Api) -> None:
    (one,), (two,) = asked(api), asked(api)
    assert one["name"] == two["name"]
    (keyed,) = asked(api, Idempotency_Key="evening")
    assert keyed["name"] not in (one["name"],)
    assert asked(api, Idempotency_Key="evening")[0]["name"] == keyed["name"]
    assert len(api.get(LISTED).body["backfills"]) == 2
    assert len(api.get(f"{LISTED}?limit=1").body["backfills"]) == 1
    assert api.get(f"{LISTED}?namespace=elsewhere").body["backfills"] == []
    events = [e for e in namespace.list("/api/v1", "events") if e["reason"] == "BackfillRequested"]
    assert {e["involvedObject"]["name"] for e in events} == {one["name"], keyed["name"]}
    assert len(events) == 2


def test_types_and_tiers_and_a_dry_run(namespace: Namespace, api: Api) -> None:
    wanted = {**RUNBOOK, "report_types": ["critical", "type_positions"], "dry_run": True}
    (made,) = api.call("POST", PATH, {**wanted, "max_concurrent": 5}).body["backfills"]
    assert (made["tiers"], made["report_types"]) == (["critical"], ["type_positions"])
    assert made["max_concurrent"] == 5
    told = wait_for("it says what would run", lambda: (b := newest(api))["would_run_count"] and b)
    assert isinstance(told, dict)
    assert [(run["schedule"], run["report_date"]) for run in told["would_run"]] == [
        ("dashboard", "2025-01-08"),
        ("positions", "2025-01-08"),
        ("dashboard", "2025-01-09"),
        ("positions", "2025-01-09"),
    ]
    assert namespace.jobs() == []


def test_one_schedule_by_its_name(namespace: Namespace, api: Api) -> None:
    wanted = {**RUNBOOK, "report_types": [], "schedule": "positions", "dry_run": True}
    (made,) = api.call("POST", PATH, wanted).body["backfills"]
    assert (made["schedules"], made["tiers"], made["report_types"]) == (["positions"], [], [])


TOMORROW = f"{datetime.now(UTC).date() + timedelta(days=2)}"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"report_types": ["regulatory"]}, 404, "known types: type_dashboard, type_positions;"),
    ({"report_types": ["regulatory"]}, 404, "known tiers: bulk, critical"),
    ({"report_types": []}, 422, "report_types: name types or tiers"),
    ({"schedule": "nothing"}, 404, "known ones: dashboard, positions"),
    ({"namespace": "elsewhere"}, 404, "known types: none"),
    ({"end_date": "2025-01-07"}, 422, "end_date: lies before start_date"),
    ({"end_date": "2026-01-09"}, 422, "end_date: a backfill spans at most 366 days"),
    ({"start_date": TOMORROW, "end_date": TOMORROW}, 422, "has not begun"),
    ({"start_date": "1999-01-08", "end_date": "1999-01-09"}, 422, "from 2000-01-01"),
    ({"start_date": "2025-02-30"}, 422, "start_date"),
    ({"reprocess": "some"}, 422, "reprocess"),
    ({"max_concurrent": 0}, 422, "max_concurrent"),
    ({"colour": "red"}, 422, "colour"),
]


def test_invalid_request_is_refused_with_a_remedy(namespace: Namespace, api: Api) -> None:
    for change, status, said in REFUSED:
        answer: Answer = api.call("POST", PATH, {**RUNBOOK, **change})
        assert (answer.status, answer.kind) == (status, "application/problem+json"), answer.text
        assert said in answer.body["detail"]
    assert api.get(LISTED).body["backfills"] == []
    assert api.get(f"{LISTED}?limit=0").status == 422


def test_waiting_backfill_gives_its_reason(namespace: Namespace, api: Api) -> None:
    Backfills(namespace).ask("none", "2025-01-08", "2025-01-08", reportTypes=["unheard_of"])
    told = wait_for("it waits", lambda: (b := newest(api))["state"] == "Waiting" and b)
    assert isinstance(told, dict)
    assert "no ReportSchedule of this namespace is meant" in told["message"]


def test_cancelling_removes_what_waits_and_leaves_what_runs(
    namespace: Namespace, api: Api, cli: Cli
) -> None:
    wanted = {**RUNBOOK, "report_types": ["type_dashboard"], "start_date": "2025-01-02"}
    (made,) = api.call("POST", PATH, {**wanted, "max_concurrent": 3}).body["backfills"]

    def stages() -> dict[str, str]:
        return {job["status"]: job["id"] for job in api.jobs()}

    wait_for("one is admitted, others wait", lambda: {"pending", "queued"} <= set(stages()), 60)
    going = stages()["pending"]
    path = f"/api/admin/backfills/{namespace.name}/{made['name']}/cancel"
    planned = api.call("POST", path, {"dry_run": True})
    assert (planned.status, planned.body["going_on"]) == (200, [going])
    told = cli("backfills", "cancel", made["name"], "--yes")
    assert told.code == 0, told.err
    assert "2 waiting runs removed" in told.out
    assert f"goes on: {going}" in told.out
    wait_for("what waited is gone", lambda: [job["id"] for job in api.jobs()] == [going], 60)
    assert api.get(LISTED).body["backfills"] == []
    again = api.call("POST", path)
    assert (again.status, "cancelled before" in again.body["detail"]) == (404, True)
    (event,) = [e for e in namespace.list("/api/v1", "events")
                if e["reason"] == "BackfillCancelled"]  # fmt: skip
    assert event["involvedObject"]["name"] == made["name"]
    namespace.end_pod(namespace.pod_of(api.jobs()[0]["job"]))
    wait_for("it is recorded", lambda: [j["status"] for j in api.jobs()] == ["succeeded"], 60)
