"""What has been observed: the newest version of each object, whatever order it is told in."""

from typing import Any

import pytest
from factories import (
    UID,
    container_state,
    cronjob_body,
    job_body,
    job_condition,
    pod_body,
    schedule_body,
)

from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import Key

DAILY = Key("reports", "daily")
ENDED = {
    "phase": "Failed",
    **container_state(terminated={"exitCode": 70, "reason": "Error", "message": "why"}),
}


def versioned(body: dict[str, Any], version: int, **meta: Any) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": str(version), **meta}}


def schedule(version: int, **meta: Any) -> dict[str, Any]:
    return versioned(schedule_body(), version, **meta)


def cronjob(version: int, **meta: Any) -> dict[str, Any]:
    return versioned(cronjob_body(), version, **meta)


@pytest.mark.parametrize(("make", "method"), [(schedule, "schedule"), (cronjob, "cronjob")])
def test_older_version_never_replaces_a_newer_one(make, method: str) -> None:
    store = Store()
    observe = getattr(store, f"observe_{method}")
    known = getattr(store, f"{method}s")
    assert observe(make(9)) == (DAILY, True)
    assert observe(make(9)) == (DAILY, False)
    assert observe(make(8)) == (DAILY, False)
    assert observe(make(10)) == (DAILY, True)  # as numbers: "10" < "9"
    assert known[DAILY]["metadata"]["resourceVersion"] == "10"
    assert observe(make(11), deleted=True) == (DAILY, True)
    assert observe(make(11), deleted=True) == (DAILY, False)
    assert known == {}


@pytest.mark.parametrize(("make", "method"), [(schedule, "schedule"), (cronjob, "cronjob")])
def test_successor_of_the_same_name(make, method: str) -> None:
    """A late word about the predecessor does not touch it."""
    store = Store()
    observe = getattr(store, f"observe_{method}")
    known = getattr(store, f"{method}s")
    observe(make(10, uid="old"))
    assert observe(make(20, uid="new")) == (DAILY, True)
    assert observe(make(15, uid="old"), deleted=True) == (DAILY, False)
    assert known[DAILY]["metadata"]["uid"] == "new"
    assert observe(make(12, uid="old")) == (DAILY, False)
    assert known[DAILY]["metadata"]["uid"] == "new"


def test_managed_fields_are_not_kept() -> None:
    store = Store()
    body = schedule(1, managedFields=[{"manager": "x"}])
    store.observe_schedule(body)
    assert "managedFields" not in store.schedules[DAILY]["metadata"]
    assert "managedFields" in body["metadata"]


def test_objects_that_are_not_ours() -> None:
    store = Store()
    stranger = {"metadata": {"name": "x", "namespace": "y", "uid": "z", "resourceVersion": "1"}}
    assert store.observe_cronjob(stranger) is None
    assert store.observe_job({**stranger, "spec": {}}) is None
    assert store.observe_pod({**pod_body(), "metadata": stranger["metadata"]}) is None
    assert (store.cronjobs, store.runs, store.pods) == ({}, {}, {})


def job(version: int, uid: str = "job-1", **changes: Any) -> dict[str, Any]:
    return versioned(job_body(changes), version, uid=uid, name=f"daily-{uid}")


def store_of_daily() -> Store:
    """It knows the schedule and its CronJob."""
    store = Store()
    store.observe_schedule(schedule(1))
    store.observe_cronjob(cronjob(1))
    return store


def test_observed_job_is_a_run_of_its_schedule() -> None:
    store = store_of_daily()
    assert store.observe_job(job(9)) == (DAILY, True)
    assert store.observe_job(job(9)) == (DAILY, False)
    assert store.observe_job(job(8)) == (DAILY, False)
    done = {"conditions": [job_condition("Complete")]}
    assert store.observe_job(job(10, status=done)) == (DAILY, True)
    assert store.runs["job-1"].finished
    assert store.observe_job(job(9)) == (DAILY, False)
    assert store.runs["job-1"].finished
    assert store.observe_job(job(11), deleted=True) == (DAILY, True)
    assert store.observe_job(job(11), deleted=True) is None
    assert (store.runs, store.runs_of(UID)) == ({}, [])


def test_runs_of_a_schedule_come_oldest_slot_first() -> None:
    store = store_of_daily()
    stamp = "batch.kubernetes.io/cronjob-scheduled-timestamp"
    for uid, hour in (("b", 5), ("a", 4), ("c", 6)):
        slot = {"annotations": {stamp: f"2026-11-24T0{hour}:00:00+01:00"}}
        store.observe_job(job(1, uid, metadata=slot))
    other = {"labels": {"reports.adaf.io/schedule-uid": "another"}}
    store.observe_job(job(1, "d", metadata=other))  # says what is not so
    assert [run.uid for run in store.runs_of(UID)] == ["a", "b", "c"]
    store.forget_run("b")
    store.forget_run("b")
    assert [run.uid for run in store.runs_of(UID)] == ["a", "c"]
    assert store.runs_of("another") == []
    assert store.uids("jobs") == {"a", "c", "d"}


def test_ended_pod_outlives_its_object_while_the_job_is_there() -> None:
    store = store_of_daily()
    store.observe_job(job(1))
    (run,) = store.runs_of(UID)
    assert store.observe_pod(pod_body(ENDED)) == DAILY
    assert store.observe_pod(pod_body(ENDED), deleted=True) == DAILY
    assert [pod.result_text for pod in store.pods_of(run)] == ["why"]
    store.observe_job(job(2), deleted=True)
    assert store.pods == {}


def test_pod_that_had_not_ended_goes_with_its_object() -> None:
    store = store_of_daily()
    store.observe_job(job(1))
    (run,) = store.runs_of(UID)
    store.observe_pod(pod_body({"phase": "Running"}))
    assert store.pods_of(run)
    store.observe_pod(pod_body({"phase": "Running"}), deleted=True)
    assert store.pods_of(run) == []


def test_pod_is_not_set_back_by_an_old_version() -> None:
    store = store_of_daily()
    store.observe_job(job(1))
    (run,) = store.runs_of(UID)
    store.observe_pod(pod_body(ENDED, resourceVersion="300"))
    store.observe_pod(pod_body({"phase": "Running"}, resourceVersion="200"))
    assert [pod.phase for pod in store.pods_of(run)] == ["Failed"]


def test_pods_observed_before_their_job_belong_to_it() -> None:
    store = store_of_daily()
    late = pod_body(name="b", creationTimestamp="2026-11-24T05:09:00Z")
    assert store.observe_pod(late) is None
    assert store.observe_pod(pod_body(name="a")) is None
    store.observe_job(job(1))
    (run,) = store.runs_of(UID)
    assert [pod.name for pod in store.pods_of(run)] == ["a", "b"]
    store.forget_orphan_pods()
    assert len(store.pods_of(run)) == 2
    labels = {"batch.kubernetes.io/controller-uid": "gone"}
    owners = [{"kind": "Job", "uid": "gone", "controller": True}]
    store.observe_pod(pod_body(labels=labels, ownerReferences=owners))
    assert ("reports", "gone") in store.pods
    store.forget_orphan_pods()
    assert set(store.pods) == {("reports", "job-1")}


def test_uids_by_kind() -> None:
    store = Store()
    store.observe_schedule(schedule(1))
    store.observe_cronjob(cronjob(1))
    assert store.uids("reportschedules") == {UID}
    assert store.uids("cronjobs") == {"cronjob-1"}
    assert store.uids("jobs") == set()
    assert store.runs_of(UID) == []


def backfill(version: int, *jobs: str, **meta: Any) -> dict[str, Any]:
    runs = [{"schedule": job.partition("/")[0], "job": job.partition("/")[2]} for job in jobs]
    meta = {"namespace": "reports", "name": "march", "uid": "backfill-1", **meta}
    return {
        "metadata": {**meta, "resourceVersion": str(version)},
        "status": {"inFlight": runs},
    }


def test_which_backfills_wait_for_a_schedules_outcomes() -> None:
    store = Store()
    march, april = Key("reports", "march"), Key("reports", "april")
    assert store.observe_backfill(backfill(5, "daily/a", "daily/b", "weekly/c")) == (march, True)
    store.observe_backfill(backfill(6, "daily/d", name="april", uid="backfill-2"))
    assert store.backfills_waiting_for(DAILY) == {
        march: frozenset({"a", "b"}), april: frozenset({"d"})
    }  # fmt: skip
    assert store.backfills_waiting_for(Key("elsewhere", "daily")) == {}
    assert store.observe_backfill(backfill(4)) == (march, False)  # an older version
    assert march in store.backfills_waiting_for(DAILY)
    store.observe_backfill(backfill(7, "weekly/c"))
    assert store.backfills_waiting_for(DAILY) == {april: frozenset({"d"})}
    assert store.uids("reportbackfills") == {"backfill-1", "backfill-2"}
    store.forget({"backfill-2"})
    assert store.backfills_waiting_for(DAILY) == {}
    store.observe_backfill(backfill(8, "weekly/c"), deleted=True)
    assert store.backfills_waiting_for(Key("reports", "weekly")) == {}
    assert store.backfills == {}
