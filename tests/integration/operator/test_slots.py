"""Which slots get a Job: none of the past after an edit, all missed ones after an outage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hack.testbed.controlplane import CONTROLLERS, ControlPlane
from hack.testbed.namespace import BATCH, SCHEDULES, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from report_operator.domain.times import format_time

pytestmark = pytest.mark.minutes

MERGE = "application/merge-patch+json"
MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def slot_of(job: Body) -> datetime:
    return datetime.fromisoformat(job["metadata"]["annotations"][names.ANNOTATION_CRONJOB_SLOT])


@pytest.fixture
def controllers_paused(plane: ControlPlane) -> Iterator[None]:
    """Pauses the CronJob controller."""
    plane.pause(CONTROLLERS)
    try:
        yield
    finally:
        plane.resume(CONTROLLERS)


def pretend_made_at(namespace: Namespace, name: str, since: datetime) -> None:
    """Make the schedule older, so that its slots count from then, and delete its CronJob."""
    path = namespace.path(SCHEDULES, "reportschedules", name, "status")
    namespace.call(
        "PATCH", path, {"status": {"scheduleSince": f"{since:%Y-%m-%dT%H:%M:%SZ}"}}, MERGE
    )
    namespace.call("DELETE", namespace.path(BATCH, "cronjobs", name))


def test_neither_an_edit_nor_an_unsuspend_starts_a_past_slot(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("resumed", schedule="* * * * *", suspend=True)
    namespace.apply("edited", schedule="0 0 1 1 *")
    namespace.wait_until_observed("resumed")
    namespace.wait_until_observed("edited")
    assert "nextScheduleTime" not in namespace.status("resumed")
    begun = now()
    wait_for("a slot to pass by", lambda: now().minute != begun.minute, 90)
    namespace.apply("resumed", schedule="* * * * *")
    namespace.apply("edited", schedule="* * * * *")
    changed = now()
    for name in ("resumed", "edited"):
        status = namespace.wait_until_observed(name)
        assert datetime.fromisoformat(status["nextScheduleTime"]) > changed
    jobs = wait_for(
        "the next slot's Jobs", lambda: len(namespace.jobs()) >= 2 and namespace.jobs(), 90
    )
    assert jobs
    assert all(slot_of(job) > changed for job in jobs)


def test_every_slot_missed_in_an_outage_runs(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    operator = make_operator(admission={"maxActive": 1})
    operator.start()
    missed = {"policy": "RunAll", "startWithin": "1h"}
    namespace.apply("daily", schedule="* * * * *", missedRuns=missed)
    namespace.wait_until_observed("daily")
    operator.kill()
    since = now().replace(second=0, microsecond=0) - 6 * MINUTE
    pretend_made_at(namespace, "daily", since)
    operator.start()
    wanted = {since + step * MINUTE for step in range(1, 7)}
    wait_for(
        "a Job for each slot",
        lambda: wanted <= {slot_of(job) for job in namespace.jobs()},
        90,
        lambda: (sorted(slot_of(job) for job in namespace.jobs()), operator.log()),
    )
    operator.wait_for_resyncs(1)
    slots = [slot_of(job) for job in namespace.jobs()]
    assert len(slots) == len(set(slots))
    assert min(slots) == min(wanted)


@pytest.mark.usefixtures("controllers_paused")
def test_slot_without_a_job_is_late(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily", schedule="* * * * *", lateAfter="1m")
    namespace.wait_until_observed("daily")
    operator.kill()
    pretend_made_at(namespace, "daily", now() - 10 * MINUTE)
    operator.start()
    delayed = wait_for(
        "it is late",
        lambda: (c := namespace.condition("daily", "Delayed")).get("status") == "True" and c,
        60,
        lambda: (namespace.status("daily"), operator.log()),
    )
    assert delayed
    assert delayed["reason"] == "NotCreated"
    assert "CronJob controller" in delayed["message"]
    delay = namespace.status("daily")["delay"]
    assert delay["stage"] == "NotCreated"
    assert delay["seconds"] >= 300


@pytest.mark.usefixtures("controllers_paused")
def test_slot_due_during_an_edit_runs(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily", schedule="* * * * *")
    namespace.wait_until_observed("daily")
    begun = now()
    wait_for("a slot that nobody serves", lambda: now().minute != begun.minute, 90)
    due = now().replace(second=0, microsecond=0)
    namespace.apply("daily", schedule="0 0 1 1 *")
    namespace.wait_until_observed("daily")
    (job,) = namespace.jobs()
    assert slot_of(job) == due
    assert job["metadata"]["name"] == names.job_name("daily", due)


@pytest.mark.parametrize("policy", ["RunLatest", "Skip"])
def test_every_comes_where_it_is_longer_than_the_starting_deadline(
    namespace: Namespace, operator: OperatorProcess, policy: str
) -> None:
    """The controller would count from the deadline on, and the slot would never be due."""
    namespace.apply("thrice", schedule="@every 3h", missedRuns={"policy": policy})
    status = namespace.wait_until_observed("thrice")
    cronjob = namespace.cronjob("thrice")
    assert cronjob
    created = datetime.fromisoformat(cronjob["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(status["nextScheduleTime"]) == created + timedelta(hours=3)
    last = now().replace(microsecond=0) - timedelta(hours=3)
    namespace.call(
        "PATCH",
        namespace.path(BATCH, "cronjobs", "thrice", "status"),
        {"status": {"lastScheduleTime": f"{last:%Y-%m-%dT%H:%M:%SZ}"}},
        MERGE,
    )
    (job,) = wait_for("its Job", namespace.jobs, 60)
    assert slot_of(job) == last + timedelta(hours=3)
    following = format_time(slot_of(job) + timedelta(hours=3))
    wait_for(
        "the slot after it",
        lambda: namespace.status("thrice").get("nextScheduleTime") == following,
        60,
    )
