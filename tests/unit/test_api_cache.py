"""ClusterCache: the same runs in whatever order events arrive."""

from __future__ import annotations

from typing import Any

import pytest
from factories import MINUTE, SLOT, job_body, make_entry, schedule_body

from admin_api.schemas.jobs import JobStatus
from admin_api.services.cache import ClusterCache
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason


def versioned(body: dict[str, Any], version: int, **meta: Any) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": str(version), **meta}}


def schedule(version: int, *entries: Any, **meta: Any) -> dict[str, Any]:
    status = ReportScheduleStatus(recent_runs=list(entries))
    return versioned({**schedule_body(), "status": status.to_wire()}, version, **meta)


def run(version: int, uid: str = "job-1", **meta: Any) -> dict[str, Any]:
    return versioned(job_body(), version, uid=uid, name=f"daily-{uid}", **meta)


def statuses(cache: ClusterCache) -> list[JobStatus]:
    return [job.status for job in cache.snapshot().jobs]


def test_recorded_outcome_replaces_the_job() -> None:
    cache = ClusterCache()
    cache.observe_run(run(1))
    assert cache.snapshot().jobs == [], "nobody knows its schedule yet"
    cache.observe_schedule(schedule(2))
    assert statuses(cache) == [JobStatus.QUEUED]
    failed = make_entry("job-1", Reason.TIMEOUT, job="daily-job-1")
    cache.observe_schedule(schedule(3, failed))
    assert statuses(cache) == [JobStatus.FAILED], "the outcome stands for the Job"
    assert [job.job for job in cache.snapshot().dead_letters] == ["daily-job-1"]
    cache.observe_run(run(4), deleted=True)
    assert statuses(cache) == [JobStatus.FAILED]
    assert cache.snapshot().runs == ()


def test_older_version_of_a_schedule_is_ignored() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(9, make_entry("job-1")))
    cache.observe_schedule(schedule(8))
    assert statuses(cache) == [JobStatus.SUCCEEDED]


def test_snapshot_is_the_same_object_without_changes() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(1, make_entry("job-1")))
    cache.observe_run(run(2, "job-2"))
    before = cache.snapshot()
    cache.observe_schedule(schedule(1))
    cache.observe_run(run(2, "job-2"))
    cache.retain_schedules(None, {s.uid for s in before.schedules})
    cache.retain_runs("elsewhere", set())
    assert cache.snapshot() is before


def test_objects_missing_from_a_list_are_dropped() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(1, make_entry("job-1")))
    cache.observe_run(run(2, "job-2"))
    cache.retain_runs(None, set())
    assert statuses(cache) == [JobStatus.SUCCEEDED]
    cache.retain_schedules(None, set())
    assert cache.snapshot().jobs == []
    assert cache.snapshot().schedules == []


def test_deleted_schedule_hides_its_runs() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(1, make_entry("job-1", Reason.TIMEOUT)))
    cache.observe_schedule(schedule(2), deleted=True)
    assert (cache.snapshot().jobs, cache.snapshot().dead_letters) == ([], [])
    cache.observe_schedule(schedule(2), deleted=True)


def test_jobs_of_all_schedules_are_newest_first() -> None:
    cache = ClusterCache()
    for number in range(3):
        entry = make_entry(
            f"job-{number}", Reason.TIMEOUT, finished_at=SLOT + (number % 2 + 1) * MINUTE,
            slot=SLOT + number * MINUTE, job=f"job-{number}",
        )  # fmt: skip
        cache.observe_schedule(
            schedule(number, entry, uid=f"uid-{number}", name=f"name-{2 - number}")
        )
    found = cache.snapshot()
    assert [job.job for job in found.jobs] == ["job-1", "job-0", "job-2"], "then by id"
    assert list(found.dead_letters) == list(found.jobs)
    assert [s.name for s in found.schedules] == ["name-0", "name-1", "name-2"]
    assert [job.job for job in found.of_schedule("reports", "name-1")] == ["job-1"]
    assert found.of_schedule("reports", "x") == ()
    assert found.by_name["reports", "job-2"].slot == SLOT + 2 * MINUTE


@pytest.mark.parametrize("body", [{"spec": {}}, {"spec": {"schedule": "x"}, "status": {"a": 1}}])
def test_unreadable_status_is_read_as_far_as_possible(body: dict[str, Any]) -> None:
    cache = ClusterCache()
    meta = {"namespace": "n", "name": "s", "uid": "u", "resourceVersion": "1"}
    cache.observe_schedule({**body, "metadata": meta})
    with pytest.raises(KeyError):  # the reflector leaves it out with a word
        cache.observe_run({"metadata": {**meta, "creationTimestamp": format_time(SLOT)}})
    assert [s.name for s in cache.snapshot().schedules] == ["s"]
    assert cache.snapshot().runs == ()


def test_retain_runs_and_name_of_one_schedule() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(1))
    cache.observe_schedule(schedule(1, uid="other", name="other"))
    for version, name in enumerate(("gone", "there")):
        cache.observe_run(run(version, name))
    uid = schedule(1)["metadata"]["uid"]
    cache.retain_runs_of(uid, {"there"})
    cache.retain_name("reports", "daily", uid)
    assert [job.job for job in cache.snapshot().jobs] == ["daily-there"]
    assert len(cache.snapshot().schedules) == 2
    cache.retain_name("reports", "daily", "a-successor")
    assert [s.name for s in cache.snapshot().schedules] == ["other"]


def test_older_version_of_a_job_is_ignored() -> None:
    cache = ClusterCache()
    cache.observe_schedule(schedule(1))
    cache.observe_run(run(10))
    cache.observe_run(versioned({**job_body({"spec": {"suspend": False}})}, 9, uid="job-1"))
    assert statuses(cache) == [JobStatus.QUEUED]
