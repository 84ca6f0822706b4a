"""A slot on a day off: skipped before there is a pod, told everywhere, and none of it a failure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hack.testbed.namespace import BATCH, CORE, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result

EVERY_MINUTE = "* * * * *"


def days_off(namespace: Namespace, *names: str) -> None:
    """A ConfigMap with today and tomorrow in it."""
    today = datetime.now(UTC).date()
    text = "\n".join(f"{today + timedelta(days=n)} {name}" for n, name in enumerate(names))
    body = {"metadata": {"name": "company-days"}, "data": {"dates": text}}
    namespace.call("POST", namespace.path(CORE, "configmaps"), body)


def skipped(namespace: Namespace, name: str) -> Body:
    def found() -> Body | None:
        runs = namespace.status(name).get("recentRuns", ())
        return next((run for run in runs if run["outcome"] == "Skipped"), None)

    entry = wait_for(f"{name}: a skipped run", found, 150, lambda: namespace.status(name))
    assert entry is not None
    return entry


def test_slot_on_a_day_off_is_skipped_without_a_pod(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    days_off(namespace, "Stocktaking", "Stocktaking")
    calendar = {"configMapRef": {"name": "company-days"}}
    namespace.apply("shut", schedule=EVERY_MINUTE, timeZone="Etc/UTC", calendar=calendar)
    entry = skipped(namespace, "shut")
    assert entry["reason"] == "Holiday"
    assert "Stocktaking in the dates of ConfigMap company-days" in entry["message"]
    status = namespace.status("shut")
    assert (status["health"], status["lastOutcome"]) == ("Healthy", "Skipped")
    assert status["runCounts"]["Skipped/Holiday"] >= 1
    assert namespace.condition("shut", "Failing")["reason"] == "LastRunSkipped"
    wait_for("its Job is gone", lambda: entry["uid"] not in uids(namespace))
    assert namespace.pods() == []


def uids(namespace: Namespace) -> set[str]:
    return {job["metadata"]["uid"] for job in namespace.jobs()}


@pytest.mark.minutes
def test_run_waits_for_the_next_business_day_in_no_place(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    days_off(namespace, "Stocktaking", "Stocktaking")
    now = datetime.now(UTC) + timedelta(minutes=2)
    calendar = {"configMapRef": {"name": "company-days"}, "onHoliday": "NextBusinessDay"}
    schedule = f"{now.minute} {now.hour} * * *"
    namespace.apply("moved", schedule=schedule, timeZone="Etc/UTC", calendar=calendar)
    namespace.wait_until_observed("moved")
    cronjob = namespace.cronjob("moved")
    assert cronjob is not None
    assert cronjob["spec"]["concurrencyPolicy"] == "Allow"

    def made() -> Body | None:
        return next(iter(namespace.jobs()), None)

    job = wait_for("the slot's Job", made, 240, namespace.jobs)
    assert job is not None
    wait_for(
        "status has it as under way",
        lambda: [run["uid"] for run in namespace.status("moved").get("activeRuns", ())],
    )
    found = namespace.call("GET", namespace.path(BATCH, "jobs", job["metadata"]["name"]))
    assert found["spec"]["suspend"] is True
    status = namespace.status("moved")
    assert (status["queued"], status["active"], status.get("delay")) == (0, 0, None)
    assert status["health"] == "Healthy"


def test_run_that_its_pod_skipped_is_told_as_such(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("same", schedule="0 0 1 1 *")
    namespace.wait_until_observed("same")
    namespace.start("same", "same-by-hand")
    pod = namespace.pod_of("same-by-hand")
    result = RunResult(outcome=Outcome.SKIPPED, reason=Reason.UNCHANGED, message="as yesterday")
    namespace.end_pod(pod, 0, dump_result(result))
    entry = skipped(namespace, "same")
    assert (entry["reason"], entry["message"]) == ("Unchanged", "as yesterday")
    assert namespace.status("same")["health"] == "Healthy"
    events = namespace.call("GET", namespace.path(CORE, "events"))["items"]
    told = [event for event in events if event["reason"] == "RunSkipped"]
    assert [event["type"] for event in told] == ["Normal"]


@pytest.mark.parametrize(
    ("calendar", "reason", "words"),
    [
        ({"country": "XX"}, "InvalidSpec", "spec.calendar.country: "),
        ({"country": "DE", "subdivision": "TX"}, "InvalidSpec", "spec.calendar.subdivision: "),
        ({"configMapRef": {"name": "none"}}, "CalendarNotFound", "spec.calendar.configMapRef.name"),
    ],
)
def test_calendar_that_nobody_knows_is_told(
    namespace: Namespace, operator: OperatorProcess, calendar: Body, reason: str, words: str
) -> None:
    namespace.apply("wrong", schedule="0 6 * * *", calendar=calendar)
    namespace.wait_until_observed("wrong")
    ready = namespace.condition("wrong", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert words in ready["message"]
