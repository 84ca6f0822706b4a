"""What admission writes on a Job, and on its pod template."""

from datetime import timedelta

import pytest
from factories import SLOT, at, job_body, make_run, merged

from report_operator.admit import admission_patch
from report_operator.domain.run import Stage, observe_job


def test_patch_starts_the_run_and_tells_its_pod() -> None:
    now = SLOT + timedelta(minutes=2, microseconds=5)
    patch = admission_patch(make_run(attempt=2, slot=SLOT), now)
    stamps = {
        "reports.adaf.io/slot": "2026-11-24T05:00:00Z",
        "reports.adaf.io/report-date": "2026-11-24",
        "reports.adaf.io/run-id": "daily.20261124T050000Z.2",
        "reports.adaf.io/attempt": "2",
    }
    admitted = {"reports.adaf.io/admitted-at": "2026-11-24T05:02:00Z"}
    assert patch == {
        # another writer in between makes the patch fail rather than start a run twice
        "metadata": {"resourceVersion": "100", "annotations": stamps | admitted},
        "spec": {"suspend": False, "template": {"metadata": {"annotations": stamps}}},
    }


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
