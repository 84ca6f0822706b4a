"""Every slot that was due has an answer, whatever becomes of its Job, its schedule or its quota."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names

pytestmark = pytest.mark.minutes

EVERY_MINUTE = "* * * * *"


def scheduled_job(namespace: Namespace, number: int = 1, since: str = "") -> Body:
    """The newest of the Jobs that the CronJob controller made, once there are so many.

    `since` leaves out those of before, as their creationTimestamp is written.
    """

    def made() -> Body | None:
        jobs = [
            job
            for job in namespace.jobs()
            if names.ANNOTATION_CRONJOB_SLOT in job["metadata"]["annotations"]
            and job["metadata"]["creationTimestamp"] >= since
        ]
        jobs.sort(key=lambda job: job["metadata"]["creationTimestamp"])
        return jobs[-1] if len(jobs) >= number else None

    found = wait_for("a slot's Job", made, 120, namespace.jobs)
    assert found is not None
    return found


def delete_job(namespace: Namespace, job: Body) -> None:
    path = namespace.path(BATCH, "jobs", job["metadata"]["name"])
    namespace.call("DELETE", f"{path}?propagationPolicy=Background")


def recorded(namespace: Namespace, name: str, reason: str) -> Body:
    def found() -> Body | None:
        runs = namespace.status(name).get("recentRuns", ())
        return next((run for run in runs if run.get("reason") == reason), None)

    entry = wait_for(f"{name}: a run with {reason}", found, 120, lambda: namespace.status(name))
    assert entry is not None
    return entry


def slot_of(job: Body) -> str:
    text = job["metadata"]["annotations"][names.ANNOTATION_CRONJOB_SLOT]
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def annotate(namespace: Namespace, name: str, key: str, value: str) -> None:
    path = namespace.path(SCHEDULES, "reportschedules", name)
    namespace.call("PATCH", path, {"metadata": {"annotations": {key: value}}}, MERGE)


def test_run_whose_job_is_deleted_by_hand_failed_until_there_is_its_report(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily", schedule=EVERY_MINUTE, concurrencyPolicy="Forbid")
    job = scheduled_job(namespace)
    wait_for(
        "status knows the run",
        lambda: [run["uid"] for run in namespace.status("daily").get("activeRuns", ())],
    )
    namespace.apply("daily", schedule="0 0 1 1 *")  # no other slot answers for it
    delete_job(namespace, job)
    entry = recorded(namespace, "daily", "JobDeleted")
    assert (entry["uid"], entry["slot"]) == (job["metadata"]["uid"], slot_of(job))
    assert namespace.status("daily")["health"] == "Failing"
    assert namespace.status("daily").get("activeRuns", []) == []

    slot = entry["slot"]
    annotate(namespace, "daily", names.ANNOTATION_ACKNOWLEDGED, "2199-01-01T00:00:00Z")
    namespace.apply("daily", schedule="0 0 2 1 *")
    namespace.wait_until_observed("daily")
    assert namespace.status("daily")["health"] == "Failing"  # nobody has seen what is to come
    annotate(namespace, "daily", names.ANNOTATION_ACKNOWLEDGED, slot)
    wait_for("it is acknowledged", lambda: namespace.status("daily")["health"] == "Healthy")
    assert namespace.condition("daily", "Failing")["reason"] == "Acknowledged"


def test_runs_that_are_replaced_before_they_end_are_recorded_and_late(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("replaced", schedule=EVERY_MINUTE, concurrencyPolicy="Replace", lateAfter="1m")
    first = scheduled_job(namespace)
    entry = recorded(namespace, "replaced", "Replaced")
    assert entry["slot"] == slot_of(first)
    assert "concurrencyPolicy" in entry["message"]
    delay = wait_for(
        "it is late",
        lambda: namespace.status("replaced").get("delay"),
        120,
        lambda: namespace.status("replaced"),
    )
    assert delay is not None
    assert (delay["stage"], delay["slot"]) == ("Replacing", entry["slot"])
    assert namespace.status("replaced")["health"] == "Delayed"
    job = scheduled_job(namespace)
    namespace.end_pod(namespace.pod_of(job["metadata"]["name"]))
    wait_for(
        "a report of a newer slot is there",
        lambda: namespace.status("replaced")["health"] == "Healthy",
        120,
        lambda: namespace.status("replaced"),
    )


def test_schedule_that_is_not_ready_is_late_when_its_slot_passes(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    report = {
        "title": "A test",
        "sources": [{"name": "rows", "inline": {"rows": [{"a": 1}]}}],
        "template": {"configMapRef": {"name": "absent"}},
        "formats": ["csv"],
    }
    namespace.apply("silent", schedule=EVERY_MINUTE, lateAfter="1m", report=report)
    namespace.wait_for_ready("silent", "TemplateNotFound")
    assert namespace.status("silent")["health"] == "NotReady"
    delayed = wait_for(
        "its slot is late",
        lambda: (c := namespace.condition("silent", "Delayed"))["status"] == "True" and c,
        180,
        lambda: namespace.status("silent"),
    )
    assert delayed
    assert "the definition is not in effect" in delayed["message"]
    assert namespace.status("silent")["delay"]["stage"] == "NotCreated"


def forbid_jobs(namespace: Namespace) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "jobs"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    namespace.call("POST", namespace.path(CORE, "resourcequotas"), quota)
    wait_for(
        "the quota counts",
        lambda: (
            (namespace.find(CORE, "resourcequotas", "jobs") or {}).get("status", {}).get("used")
        ),
    )


def test_edit_takes_effect_while_a_quota_refuses_the_job_of_the_due_slot(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    forbid_jobs(namespace)
    namespace.apply("edited", schedule=EVERY_MINUTE, lateAfter="1m")
    wait_for(
        "its slot is late",
        lambda: namespace.condition("edited", "Delayed").get("status") == "True",
        180,
        lambda: namespace.status("edited"),
    )
    namespace.apply("edited", schedule="0 0 1 1 *", lateAfter="1m")
    status = namespace.wait_until_observed("edited")
    assert status["nextScheduleTime"].endswith("-12-31T23:00:00Z")
    assert status["missedSlots"] >= 1
    assert "SlotsMissed" in {event["reason"] for event in namespace.list(CORE, "events")}


def test_refused_jobs_of_missed_slots_are_told_and_made_when_there_is_room(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    forbid_jobs(namespace)
    namespace.apply(
        "missed", schedule=EVERY_MINUTE, lateAfter="1m", concurrencyPolicy="Allow",
        missedRuns={"policy": "RunAll", "startWithin": "1h"},
    )  # fmt: skip
    delayed = wait_for(
        "the refusal is told",
        lambda: (
            (c := namespace.condition("missed", "Delayed")).get("status") == "True"
            and "exceeded quota" in c["message"]
            and c
        ),
        240,
        lambda: namespace.status("missed"),
    )
    assert delayed
    slot = namespace.status("missed")["delay"]["slot"]
    namespace.call("DELETE", namespace.path(CORE, "resourcequotas", "jobs"))

    def made() -> bool:
        return slot in {slot_of(job) for job in namespace.jobs()}

    wait_for("the missed slot has its Job", made, 120, namespace.jobs)


def test_success_of_an_older_date_does_not_end_the_failure_of_todays_slot(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily", schedule=EVERY_MINUTE, concurrencyPolicy="Forbid")
    job = scheduled_job(namespace)
    namespace.end_pod(namespace.pod_of(job["metadata"]["name"]), exit_code=70)
    recorded(namespace, "daily", "InternalError")
    namespace.apply("daily", schedule="0 0 1 1 *")
    namespace.wait_until_observed("daily")
    attempt(namespace, "daily", "older", "2025-01-08T05:00:00Z")
    namespace.end_pod(namespace.pod_of("older"))
    wait_for(
        "the older date is delivered",
        lambda: "Succeeded" in {run["outcome"] for run in namespace.status("daily")["recentRuns"]},
    )
    assert namespace.status("daily")["health"] == "Failing"
    attempt(namespace, "daily", "again", slot_of(job), number=2)
    namespace.end_pod(namespace.pod_of("again"))
    wait_for("the slot has its report", lambda: namespace.status("daily")["health"] == "Healthy")


def attempt(namespace: Namespace, schedule: str, job: str, slot: str, number: int = 1) -> None:
    """An attempt for a slot, as the admin API makes it."""
    cronjob = namespace.cronjob(schedule)
    assert cronjob is not None
    meta = cronjob["metadata"]
    template = cronjob["spec"]["jobTemplate"]
    stamps = {names.ANNOTATION_SLOT: slot, names.ANNOTATION_ATTEMPT: str(number)}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    made = {
        "name": job,
        "labels": template["metadata"]["labels"],
        "annotations": {**template["metadata"]["annotations"], **stamps},
        "ownerReferences": [owner],
    }
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}
    namespace.call("POST", namespace.path(BATCH, "jobs"), body)


def test_suspension_holds_what_waits(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    make_operator(admission={"maxActive": 1}).start()
    namespace.apply("blocker", concurrencyPolicy="Allow")
    namespace.wait_until_observed("blocker")
    namespace.start("blocker", "first")
    pod = namespace.pod_of("first")  # the only place
    namespace.apply("held", schedule=EVERY_MINUTE, lateAfter="1m")
    job = scheduled_job(namespace)
    namespace.apply("held", schedule=EVERY_MINUTE, lateAfter="1m", suspend=True)
    namespace.wait_until_observed("held")
    namespace.end_pod(pod)
    namespace.start("blocker", "second")  # it came later, and goes first
    second = namespace.pod_of("second")
    found = namespace.find(BATCH, "jobs", job["metadata"]["name"])
    assert found is not None
    assert found["spec"]["suspend"] is True
    wait_for(
        "it says why it waits",
        lambda: "spec.suspend" in namespace.condition("held", "Delayed").get("message", ""),
        180,
        lambda: namespace.status("held"),
    )
    namespace.apply("held", schedule="0 0 1 1 *", suspend=False)
    namespace.end_pod(second)
    namespace.pod_of(job["metadata"]["name"])


def test_cronjob_that_was_left_behind_admits_nothing_and_is_taken_over(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("left", schedule=EVERY_MINUTE, concurrencyPolicy="Allow")
    namespace.wait_until_observed("left")
    path = namespace.path(SCHEDULES, "reportschedules", "left")
    namespace.call("DELETE", f"{path}?propagationPolicy=Orphan")
    wait_for("it is gone", lambda: namespace.find(SCHEDULES, "reportschedules", "left") is None)
    since = datetime.now(UTC) + timedelta(seconds=1)
    # One of a minute that began a moment ago may have been admitted; it keeps no other back.
    job = scheduled_job(namespace, since=f"{since:%Y-%m-%dT%H:%M:%SZ}")
    wait_for(
        "an Event says why its Job waits",
        lambda: [
            event
            for event in namespace.list(CORE, "events")
            if event["reason"] == "Skipped"
            and event["involvedObject"]["name"] == job["metadata"]["name"]
        ],
        120,
    )
    found = namespace.find(BATCH, "jobs", job["metadata"]["name"])
    assert found is not None
    assert found["spec"]["suspend"] is True
    namespace.apply("left", schedule=EVERY_MINUTE, concurrencyPolicy="Allow")
    namespace.wait_for_ready("left", "Ready")

    def runs() -> bool:
        return any(
            datetime.fromisoformat(made["metadata"]["creationTimestamp"]) > since
            and not made["spec"].get("suspend")
            for made in namespace.jobs()
        )

    wait_for("its next slot runs", runs, 180, namespace.jobs)
    assert "CronJobAdopted" in {event["reason"] for event in namespace.list(CORE, "events")}
