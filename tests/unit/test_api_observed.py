"""What was told of the cluster becomes the same runs in whatever order it was told."""

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


def statuses(observed: ClusterCache) -> list[JobStatus]:
    return [job.status for job in observed.snapshot().jobs]


def test_a_run_its_outcome_and_the_end_of_its_job() -> None:
    observed = ClusterCache()
    observed.observe_run(run(1))
    assert observed.snapshot().jobs == [], "nobody knows its schedule yet"
    observed.observe_schedule(schedule(2))
    assert statuses(observed) == [JobStatus.QUEUED]
    failed = make_entry("job-1", Reason.TIMEOUT, job="daily-job-1")
    observed.observe_schedule(schedule(3, failed))
    assert statuses(observed) == [JobStatus.FAILED], "the outcome stands for the Job"
    assert [job.job for job in observed.snapshot().dead_letters] == ["daily-job-1"]
    observed.observe_run(run(4), deleted=True)
    assert statuses(observed) == [JobStatus.FAILED]
    assert observed.snapshot().runs == ()


def test_an_older_version_is_no_news() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(9, make_entry("job-1")))
    observed.observe_schedule(schedule(8))
    assert statuses(observed) == [JobStatus.SUCCEEDED]


def test_the_same_object_while_nothing_changes() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(1, make_entry("job-1")))
    observed.observe_run(run(2, "job-2"))
    before = observed.snapshot()
    observed.observe_schedule(schedule(1))
    observed.observe_run(run(2, "job-2"))
    observed.retain_schedules(None, {s.uid for s in before.schedules})
    observed.retain_runs("elsewhere", set())
    assert observed.snapshot() is before


def test_what_a_list_does_not_have_is_gone() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(1, make_entry("job-1")))
    observed.observe_run(run(2, "job-2"))
    observed.retain_runs(None, set())
    assert statuses(observed) == [JobStatus.SUCCEEDED]
    observed.retain_schedules(None, set())
    assert observed.snapshot().jobs == []
    assert observed.snapshot().schedules == []


def test_a_deleted_schedule_takes_its_runs_from_sight() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(1, make_entry("job-1", Reason.TIMEOUT)))
    observed.observe_schedule(schedule(2), deleted=True)
    assert (observed.snapshot().jobs, observed.snapshot().dead_letters) == ([], [])
    observed.observe_schedule(schedule(2), deleted=True)


def test_newest_first_over_all_schedules() -> None:
    observed = ClusterCache()
    for number in range(3):
        entry = make_entry(
            f"job-{number}", Reason.TIMEOUT, finished_at=SLOT + (number % 2 + 1) * MINUTE,
            slot=SLOT + number * MINUTE, job=f"job-{number}",
        )  # fmt: skip
        observed.observe_schedule(
            schedule(number, entry, uid=f"uid-{number}", name=f"name-{2 - number}")
        )
    found = observed.snapshot()
    assert [job.job for job in found.jobs] == ["job-1", "job-0", "job-2"], "then by id"
    assert list(found.dead_letters) == list(found.jobs)
    assert [s.name for s in found.schedules] == ["name-0", "name-1", "name-2"]
    assert [job.job for job in found.of_schedule("reports", "name-1")] == ["job-1"]
    assert found.of_schedule("reports", "x") == ()
    assert found.by_name["reports", "job-2"].slot == SLOT + 2 * MINUTE


@pytest.mark.parametrize("body", [{"spec": {}}, {"spec": {"schedule": "x"}, "status": {"a": 1}}])
def test_what_cannot_be_read_well_is_shown_as_far_as_it_can(body: dict[str, Any]) -> None:
    observed = ClusterCache()
    meta = {"namespace": "n", "name": "s", "uid": "u", "resourceVersion": "1"}
    observed.observe_schedule({**body, "metadata": meta})
    with pytest.raises(KeyError):  # the reflector leaves it out with a word
        observed.observe_run({"metadata": {**meta, "creationTimestamp": format_time(SLOT)}})
    assert [s.name for s in observed.snapshot().schedules] == ["s"]
    assert observed.snapshot().runs == ()


def test_what_one_schedule_has_at_this_moment() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(1))
    observed.observe_schedule(schedule(1, uid="other", name="other"))
    for version, name in enumerate(("gone", "there")):
        observed.observe_run(run(version, name))
    uid = schedule(1)["metadata"]["uid"]
    observed.retain_runs_of(uid, {"there"})
    observed.retain_name("reports", "daily", uid)
    assert [job.job for job in observed.snapshot().jobs] == ["daily-there"]
    assert len(observed.snapshot().schedules) == 2
    observed.retain_name("reports", "daily", "a-successor")
    assert [s.name for s in observed.snapshot().schedules] == ["other"]


def test_an_older_version_of_a_job_is_no_news() -> None:
    observed = ClusterCache()
    observed.observe_schedule(schedule(1))
    observed.observe_run(run(10))
    observed.observe_run(versioned({**job_body({"spec": {"suspend": False}})}, 9, uid="job-1"))
    assert statuses(observed) == [JobStatus.QUEUED]
