"""Schedules through the API and the command line, beside a real operator and API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.admin_api import SCHEDULER, Api, fail_once
from hack.testbed.namespace import CORE, Namespace
from hack.testbed.waiting import wait_for
from tests.support.cli import Cli

SCHEDULES = "/api/admin/schedules"
GENERATE = "/api/admin/reports/generate"
EARLY = Path(__file__).parents[2] / "data" / "schedules" / "early-generate.json"


def failing(api: Api) -> list[dict[str, Any]]:
    return list(api.get(f"{SCHEDULES}?health=Failing").body["schedules"])


def test_failure_is_listed_explained_and_acknowledged(
    namespace: Namespace, api: Api, cli: Cli
) -> None:
    fail_once(namespace)
    (schedule,) = wait_for("it fails", lambda: failing(api)) or []
    assert schedule["last_failure"]["reason"] == "ConfigurationError"
    assert schedule["last_failure"]["message"].endswith("no such table")
    assert schedule["ready"]["ready"] is True
    why = cli("why", "daily")
    assert (why.code, why.err) == (0, "")
    for part in (f"{namespace.name}/daily", "failing since", "no such table",
                 "Next: report-scheduler job ", "no report was ever made"):  # fmt: skip
        assert part in why.out
    assert "Failing" in cli("schedules").out

    asked = cli("acknowledge", "daily")
    assert (asked.code, "use --yes" in asked.err) == (1, True)
    done = cli("acknowledge", "daily", "--yes")
    assert done.code == 0, done.err
    wait_for("it is healthy", lambda: namespace.status("daily").get("health") == "Healthy")
    wait_for("it is seen", lambda: failing(api) == [])
    told = [e["message"] for e in namespace.list(CORE, "events")
            if e["reason"] == "FailureAcknowledged"]  # fmt: skip
    assert len(told) == 1
    again = cli("acknowledge", "daily", "--yes")
    assert (again.code, "no failure stands" in again.err) == (1, True)


def test_unknown_names_are_errors(namespace: Namespace, api: Api, cli: Cli) -> None:
    fail_once(namespace)
    for arguments in (("jobs", "--type", "unheard"), ("schedules", "--type", "unheard"),
                      ("cleanup", "--older-than-hours", "1", "--type", "unheard")):  # fmt: skip
        done = cli(*arguments)
        assert (done.code, "known types: type_daily" in done.err) == (1, True), done
    assert "known names: daily" in cli("why", "nobody").err
    assert cli("jobs", "--schedule", "daily").out.count("\n") == 2


def test_priority_is_raised_and_an_older_date_waits_behind(
    namespace: Namespace, api: Api, cli: Cli
) -> None:
    for name in ("busy", "today", "old"):
        namespace.apply(name, reportType=name, schedule="0 6 * * *", priority="low")
        namespace.wait_until_observed(name)
    namespace.start("busy", "run-1")
    wait_for("it runs", lambda: namespace.status("busy").get("active") == 1)
    namespace.start("today", "run-2")
    wait_for("it waits", lambda: namespace.status("today").get("queued") == 1)
    begun = datetime.now(UTC).replace(microsecond=0)  # creation has whole seconds
    wait_for("the next second", lambda: datetime.now(UTC) > begun + timedelta(seconds=1))
    day = f"{datetime.now(UTC).date() - timedelta(days=400)}"
    old = api.call("POST", GENERATE, {"type": "old", "date": day})
    assert (old.status, old.body["priority"], old.body["warnings"]) == (202, "low", [])

    def queue() -> list[str]:
        return [entry["schedule"] for entry in api.get(f"{SCHEDULER}/queue").body["queue"]]

    wait_for("the old date waits behind", lambda: queue() == ["old", "today"][::-1], 30, queue)
    newest = json.loads(cli("jobs", "--limit", "1", "-o", "json").out)["jobs"]
    assert newest[0]["id"] == old.body["id"]
    raised = cli("generate", "old", "--date", day, "--priority", "high")
    assert raised.code == 0, raised.err
    wait_for("it goes first", lambda: queue() == ["old", "today"], 30, queue)
    reasons = [event["reason"] for event in namespace.list(CORE, "events")]
    assert reasons.count("PriorityRaised") == 1

    command = ("cleanup", "--older-than-hours", "0", "--type", "old")
    assert old.body["id"] in cli(*command, "--dry-run").out
    assert cli(*command).code == 1
    assert queue() == ["old", "today"]
    assert cli(*command, "--yes").out.startswith("1 run given up")
    wait_for("it is gone", lambda: queue() == ["today"], 30, queue)


def test_generate_before_todays_slot_warns(namespace: Namespace, api: Api, cli: Cli) -> None:
    spec = json.loads(EARLY.read_text())["spec"]
    del spec["delivery"]  # its Secret is another matter
    hours = 12 - datetime.now(UTC).hour  # a zone in which it is noon: the day's end is far
    zone = f"Etc/GMT{-hours:+d}" if hours else "Etc/UTC"  # POSIX: the sign is turned round
    namespace.apply("early", **{**spec, "schedule": "59 23 * * *", "timeZone": zone})
    namespace.wait_until_observed("early")
    day = datetime.now(UTC) + timedelta(hours=hours)
    made = cli("generate", spec["reportType"], "--date", f"{day:%Y-%m-%d}")
    assert made.code == 0, made.err
    assert f"warning: a slot of {day:%Y-%m-%d} is still to come" in made.err
    assert "makes the report again" in made.err


@pytest.mark.minutes
def test_generate_in_place_of_a_slot_is_that_slots_run(
    namespace: Namespace, api: Api, cli: Cli
) -> None:
    """The CronJob controller of Kubernetes comes to the slot, and finds that its Job was made."""
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=2)
    following = at + timedelta(minutes=1)
    hours = 12 - at.hour  # a zone in which it is noon: both slots are of one day
    zone = f"Etc/GMT{-hours:+d}" if hours else "Etc/UTC"
    cron = f"{at.minute},{following.minute} 12,{following.hour + hours} * * *"
    namespace.apply("early", reportType="early", schedule=cron, timeZone=zone)
    namespace.wait_until_observed("early")
    day = f"{at + timedelta(hours=hours):%Y-%m-%d}"
    command = ("generate", "early", "--date", day, "--instead-of-slot", "-o", "json")
    made = cli(*command)
    assert made.code == 0, made.err
    body = json.loads(made.out)
    assert body["slot"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"
    namespace.end_pod(namespace.pod_of(body["job"]))
    wait_for("it is delivered", lambda: namespace.status("early").get("lastSuccessTime"), 60)

    def others() -> list[str]:
        return [
            name for job in namespace.jobs() if (name := job["metadata"]["name"]) != body["job"]
        ]

    wait_for("the slot after it has a run, of the CronJob controller", others, 300)
    (other,) = others()
    assert other == f"early-{int(following.timestamp()) // 60}"
    namespace.end_pod(namespace.pod_of(other))
    wait_for("both are recorded", lambda: len(namespace.status("early")["recentRuns"]) == 2, 60)
    status = namespace.status("early")
    assert {entry["slot"] for entry in status["recentRuns"]} == {
        f"{slot:%Y-%m-%dT%H:%M:%SZ}" for slot in (at, following)
    }
    assert (status["health"], status.get("missedSlots", 0)) == ("Healthy", 0)
