"""What admission writes on a Job, and on its pod template."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from factories import MINUTE, SLOT, at, job_body, make_run, merged, pod_body
from test_data_wait import wait_after

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.store import Store
from report_operator.controllers.admission import AdmissionController, admission_patch
from report_operator.domain.admission.limits import AdmissionLimits, NamespacePolicy
from report_operator.domain.runs.data_wait import wait_patch
from report_operator.domain.runs.run import Stage, observe_job


def test_admission_patch_resumes_the_job_and_stamps_its_pod() -> None:
    now = SLOT + timedelta(minutes=2, microseconds=5)
    patch = admission_patch(make_run(attempt=2, slot=SLOT), now)
    stamps = {
        "reports.adaf.io/slot": "2026-11-24T05:00:00Z",
        "reports.adaf.io/report-date": "2026-11-24",
        "reports.adaf.io/due-at": "2026-11-24T05:00:00Z",
        "reports.adaf.io/run-id": "daily.20261124T050000Z.2",
        "reports.adaf.io/attempt": "2",
    }
    admitted = {"reports.adaf.io/admitted-at": "2026-11-24T05:02:00Z"}
    assert patch == {
        # another writer in between makes the patch fail rather than start a run twice
        "metadata": {"resourceVersion": "100", "annotations": stamps | admitted},
        "spec": {"suspend": False, "template": {"metadata": {"annotations": stamps}}},
    }


def test_run_of_a_local_queue_is_stamped_and_handed_to_kueue() -> None:
    run = make_run(queue_name="reports", slot=SLOT)
    patch = admission_patch(run, SLOT + MINUTE)
    stamps = patch["metadata"]["annotations"]
    assert patch == {
        "metadata": {
            "resourceVersion": "100",
            "labels": {"kueue.x-k8s.io/queue-name": "reports"},
            "annotations": stamps,
        },
        "spec": {"template": {"metadata": {"annotations": stamps}}},
    }
    assert stamps["reports.adaf.io/run-id"] == "daily.20261124T050000Z.1"
    assert "reports.adaf.io/admitted-at" not in stamps  # Kueue decides when


@pytest.mark.parametrize(
    ("zone", "slot", "expected"),
    [
        ("Europe/Madrid", "2026-11-24 22:59:59", "2026-11-24"),
        ("Europe/Madrid", "2026-11-24 23:00", "2026-11-25"),  # midnight there
        ("Europe/Madrid", "2026-07-01 22:00", "2026-07-02"),  # summer time
        ("America/New_York", "2026-11-24 04:59", "2026-11-23"),
        ("America/New_York", "2026-11-24 05:00", "2026-11-24"),
        ("Pacific/Kiritimati", "2026-12-31 10:00", "2027-01-01"),
        ("Etc/UTC", "2026-11-24 23:59", "2026-11-24"),
    ],
)
def test_report_date_is_the_slots_in_the_schedules_zone(zone, slot, expected) -> None:
    run = make_run(time_zone=zone, slot=at(slot))
    # However late it is admitted.
    patch = admission_patch(run, at(slot) + timedelta(days=2))
    assert patch["metadata"]["annotations"]["reports.adaf.io/report-date"] == expected


def test_report_date_that_was_asked_for_stays() -> None:
    patch = admission_patch(make_run(report_date="2026-01-31"), SLOT)
    assert patch["metadata"]["annotations"]["reports.adaf.io/report-date"] == "2026-01-31"


def test_admitted_run_is_the_same_run() -> None:
    before = observe_job(job_body())
    now = SLOT + timedelta(minutes=2)
    after = observe_job(merged(job_body(), admission_patch(before, now)))
    assert (after.slot, after.manual, after.attempt) == (before.slot, False, 1)
    assert (after.stage, after.admitted_at) == (Stage.PENDING, now)
    assert after.report_date == "2026-11-24"


def test_run_by_hand_reports_on_the_day_of_its_start() -> None:
    body = job_body({"metadata": {"creationTimestamp": "2026-11-24T23:30:00Z"}})
    del body["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    run = observe_job(body)
    after = observe_job(merged(body, admission_patch(run, SLOT + timedelta(days=1))))
    assert after.report_date == "2026-11-25"
    assert after.manual


# -- passes ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _owned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Job here is its schedule's; test_adapters_skipped.py shows what becomes of others."""
    monkeypatch.setattr(Store, "owns", lambda _store, _run: True)


@dataclass
class Server:
    """In place of the API server: some Jobs it does not let anybody change."""

    store: Store
    errors: dict[str, ApiError] = field(default_factory=dict)  # by Job
    asked: list[str] = field(default_factory=list)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, changes: dict[str, Any] | None = None, namespace: str = "a") -> None:
        meta = {"name": name, "uid": name, "namespace": namespace}
        body = merged(job_body({"metadata": meta}), changes or {})
        body["metadata"]["labels"]["reports.adaf.io/schedule-uid"] = name
        self.bodies[name] = body
        self.store.observe_job(body)

    async def patch(
        self, _kind: object, _namespace: str, name: str, patch: dict[str, Any]
    ) -> dict[str, Any]:
        self.asked.append(name)
        if name in self.errors:
            raise self.errors[name]
        self.bodies[name] = merged(self.bodies[name], patch)
        version = int(self.bodies[name]["metadata"]["resourceVersion"]) + 1
        self.bodies[name]["metadata"]["resourceVersion"] = str(version)
        return self.bodies[name]


@dataclass
class Clock:
    now: datetime = SLOT

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server(Store())


def gate_of(
    server: Server, clock: Clock, overall: int, share: int | None = None
) -> AdmissionController:
    limits = AdmissionLimits(overall, policy=NamespacePolicy(share))
    return AdmissionController(cast(KubeClient, server), server.store, limits, MINUTE, clock)


def active(server: Server) -> set[str]:
    return {run.name for run in server.store.runs.values() if not run.suspended}


@pytest.mark.parametrize("status", [400, 403, 422, 500])
def test_a_job_that_is_refused_does_not_stop_the_others(
    server: Server, clock: Clock, status: int
) -> None:
    for name in "abc":
        server.add(name)
    server.errors["a"] = ApiError(status, "Refused", "a webhook says no")
    controller = gate_of(server, clock, overall=1)
    again = asyncio.run(controller.admit())
    assert active(server) == {"b"}
    assert controller.refusals == 1
    assert "refused" in controller.waits_for("a")
    assert controller.waits_for("c") == "1 of 1 places are taken"
    assert again == timedelta(seconds=1)
    asyncio.run(controller.admit())
    assert server.asked == ["a", "b"]  # not asked again at once
    clock.now += 2 * MINUTE
    server.errors.clear()
    controller.limits = AdmissionLimits(overall=3)
    asyncio.run(controller.admit())
    assert active(server) == {"a", "b", "c"}


def test_many_refused_jobs_leave_time_for_others(server: Server, clock: Clock) -> None:
    for number in range(200):
        server.add(f"j{number}")
        server.errors[f"j{number}"] = ApiError(403, "Forbidden", "no")
    server.add("z", namespace="z")
    again = asyncio.run(gate_of(server, clock, overall=4, share=2).admit())
    assert active(server) == {"z"}
    assert len(server.asked) < 30
    assert again is not None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd"])
def test_a_job_whose_annotations_say_nonsense_does_not_stop_the_others(
    server: Server, clock: Clock, zone: str
) -> None:
    server.add("a", {"metadata": {"annotations": {"reports.adaf.io/time-zone": zone}}})
    server.add(
        "b",
        {
            "metadata": {
                "annotations": {
                    "reports.adaf.io/slot": "9999-12-31T23:59:59Z",
                    "reports.adaf.io/time-zone": "Pacific/Kiritimati",
                }
            }
        },
    )
    server.add("c")
    controller = gate_of(server, clock, overall=9)
    asyncio.run(controller.admit())
    assert active(server) == {"c"}
    assert server.store.skipped.counts() == {"jobs": 2}


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_server_that_does_not_serve_is_asked_again_by_the_queue(
    server: Server, clock: Clock, status: int
) -> None:
    server.add("a")
    server.errors["a"] = ApiError(status, "", "")
    with pytest.raises(ApiError):
        asyncio.run(gate_of(server, clock, overall=9).admit())


def test_place_of_a_run_that_does_not_start_is_freed_by_time_alone(
    server: Server, clock: Clock
) -> None:
    server.add("hangs")
    controller = gate_of(server, clock, overall=1)
    assert asyncio.run(controller.admit()) is None
    pending = pod_body({"phase": "Pending"}, name="p", creationTimestamp="2026-11-24T05:00:10Z")
    pending["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] = "hangs"
    pending["metadata"]["ownerReferences"][0]["uid"] = "hangs"
    pending["metadata"]["namespace"] = "a"
    server.store.observe_pod(pending)
    server.add("next", namespace="b")
    again = asyncio.run(controller.admit())
    assert active(server) == {"hangs"}
    assert again == timedelta(seconds=70)  # a minute after its pod was made
    clock.now += again
    asyncio.run(controller.admit())
    assert active(server) == {"hangs", "next"}


def add_waiting(server: Server, name: str) -> None:
    """A Job whose data were not ready at SLOT + 1 min, and that asks again five minutes later."""
    patch = wait_patch("100", wait_after())
    server.add(name, {"metadata": {"annotations": patch["metadata"]["annotations"]}})


def test_run_asks_again_when_its_check_is_due(server: Server, clock: Clock) -> None:
    add_waiting(server, "asks")
    controller = gate_of(server, clock, overall=1)
    clock.now = SLOT + 2 * MINUTE
    again = asyncio.run(controller.admit())
    assert again == 4 * MINUTE  # by time alone: no event tells of it
    assert server.asked == []
    clock.now += again
    assert asyncio.run(controller.admit()) is None
    assert active(server) == {"asks"}
    run = server.store.runs["asks"]
    assert run.data_wait is not None
    assert run.data_wait.enqueued_at == clock.now
    assert run.admitted_at == clock.now


def test_due_check_waits_for_a_place_like_any_run(server: Server, clock: Clock) -> None:
    server.add("works")
    controller = gate_of(server, clock, overall=1)
    asyncio.run(controller.admit())
    add_waiting(server, "asks")
    clock.now = SLOT + 6 * MINUTE
    asyncio.run(controller.admit())
    assert active(server) == {"works"}
    assert server.store.runs["asks"].waiting
    assert controller.waits_for("asks") == "1 of 1 places are taken"


def test_check_that_the_server_refuses_stops_no_other_run(server: Server, clock: Clock) -> None:
    add_waiting(server, "asks")
    server.add("other")
    server.errors["asks"] = ApiError(403, "Forbidden", "a webhook says no")
    controller = gate_of(server, clock, overall=1)
    clock.now = SLOT + 6 * MINUTE
    asyncio.run(controller.admit())
    assert active(server) == {"other"}
    asyncio.run(controller.admit())
    assert server.asked.count("asks") == 1  # not asked again at once


def test_edited_wait_starts_no_run(server: Server, clock: Clock) -> None:
    """A run that cannot be placed must not start; whoever wrote that is told."""
    server.add("edited", {"metadata": {"annotations": {"reports.adaf.io/data-wait": "{}"}}})
    server.add("b")
    asyncio.run(gate_of(server, clock, overall=9).admit())
    assert active(server) == {"b"}
    assert server.store.skipped.counts() == {"jobs": 1}
