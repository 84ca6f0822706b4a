"""From the chart before to today's, back, away and in again, while runs are under way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import kubectl
from tests.lifecycle import release
from tests.lifecycle.release import (
    BEFORE,
    CHART,
    RELEASE,
    SECONDS,
    TEAM,
    Images,
    attempts,
    finalizers,
    helm,
    history,
    wait_for_progress,
)  # fmt: skip

SLOTS = 60  # of the backfill
BACKFILL = "the-year-before"
MINUTELY, NIGHTLY = "every-minute", "nightly"


@pytest.fixture
def images(node: Images) -> Iterator[Images]:
    """With namespaces, and nothing installed before and after."""
    release.namespaces()
    yield node
    helm("uninstall", RELEASE, "--ignore-not-found", "--wait")
    kubectl("delete", "namespace", RELEASE, TEAM, "--ignore-not-found", "--timeout=180s")


def jobs_of_slots() -> set[str]:
    """Slots of the schedule that is due every minute, by the Jobs that there are."""
    key = "batch.kubernetes.io/cronjob-scheduled-timestamp"
    found = (job["metadata"]["annotations"].get(key) for job in release.items("jobs"))
    return {slot for slot in found if slot}


def every_minute(slots: list[str]) -> list[str]:
    """All minutes from the first of these slots to the last."""
    first, last = (datetime.fromisoformat(text) for text in (min(slots), max(slots)))
    count = int((last - first) / timedelta(minutes=1))
    return [f"{first + timedelta(minutes=n):%Y-%m-%dT%H:%M:%S}" for n in range(count + 1)]


@pytest.mark.timeout(1800)
def test_no_run_is_lost_or_doubled_from_upgrade_to_reinstallation(images: Images) -> None:
    team, values = release.team(), ["--set", f"teamNamespaces={{{TEAM}}}"]
    helm("install", RELEASE, str(BEFORE), *values, *images.values(images.before))
    release.rolled_out()
    team.apply(MINUTELY, schedule="* * * * *", timeZone="Etc/UTC", concurrencyPolicy="Allow")
    team.apply(NIGHTLY, schedule="0 2 * * *", timeZone="Etc/UTC", concurrencyPolicy="Allow")
    first = datetime(2025, 3, 1, tzinfo=UTC)
    spec = {
        "startDate": f"{first:%Y-%m-%d}",
        "endDate": f"{first + timedelta(days=SLOTS - 1):%Y-%m-%d}",
        "schedules": [NIGHTLY],
        "maxConcurrent": 2,
    }
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportBackfill",
        "metadata": {"name": BACKFILL},
        "spec": spec,
    }
    team.apply_manifest(body)
    status = wait_for_progress(BACKFILL, 2)
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in release.items("rsched")}

    # Forward, with runs on the way: those that wait are of the image before, and are let in.
    assert status["running"], status
    helm("upgrade", RELEASE, str(CHART), *values, *images.values(images.now))
    release.rolled_out()
    status = wait_for_progress(BACKFILL, 2)
    assert status["running"], status
    told = history("SELECT image FROM report_scheduler.deployments ORDER BY id")
    assert [image for (image,) in told] == [images.before, images.now]

    # Back.
    helm("rollback", RELEASE, "1")
    release.rolled_out()
    status = wait_for_progress(BACKFILL, 2)
    assert status["running"], status

    # Away: CronJobs go on making the Jobs of due slots, which wait for an operator.
    helm("uninstall", RELEASE, "--wait")
    assert finalizers() == []
    gone = kubectl("-n", RELEASE, "get", "deployments,statefulsets,pods", check=False)
    wait_for("its pods are gone", lambda: "No resources" in kubectl(
        "-n", RELEASE, "get", "pods", check=False), SECONDS, lambda: gone)  # fmt: skip
    before = jobs_of_slots()
    wait_for("a slot comes due", lambda: jobs_of_slots() - before, 120, jobs_of_slots)
    newest = max(jobs_of_slots())
    (waiting,) = (
        job for job in release.items("jobs") if newest in job["metadata"]["annotations"].values()
    )
    assert waiting["spec"]["suspend"] is True
    claims = kubectl("-n", RELEASE, "get", "pvc", "-o", "name").split()
    assert sorted(claims) == [f"persistentvolumeclaim/data-{s}-0" for s in ("postgres", "redis")]

    # And in again, under the same name; nothing is said about what is there.
    helm("install", RELEASE, str(CHART), *values, *images.values(images.now))
    release.rolled_out()
    after = {item["metadata"]["name"]: item["metadata"]["uid"] for item in release.items("rsched")}
    assert after == uids
    faster = '{"spec": {"maxConcurrent": 5}}'
    team.kubectl("patch", "reportbackfill", BACKFILL, "--type=merge", "-p", faster)
    wait_for(
        "the backfill is over",
        lambda: release.backfill_status(BACKFILL).get("state") in ("Succeeded", "Failed"),
        900,
        lambda: (release.backfill_status(BACKFILL), kubectl("-n", TEAM, "get", "pods")),
    )
    status = release.backfill_status(BACKFILL)
    assert (status["state"], status["progress"]) == ("Succeeded", f"{SLOTS}/{SLOTS}"), status
    assert (status["done"], status["failed"], status["skipped"]) == (SLOTS, 0, 0)

    # Each slot has one run, of one pod, and one file.
    team.kubectl(
        "patch", "reportschedule", MINUTELY, "--type=merge", "-p", '{"spec": {"suspend": true}}'
    )
    wait_for(
        "no run is under way",
        lambda: not team.status(MINUTELY).get("active") and not team.status(MINUTELY).get("queued"),
        SECONDS,
        lambda: team.status(MINUTELY),
    )
    counts = team.status(MINUTELY)["runCounts"]
    wait_for(
        "all of it is in history", lambda: len(attempts(MINUTELY)) == sum(counts.values()), SECONDS,
        lambda: (counts, attempts(MINUTELY)),
    )  # fmt: skip
    minutely, nightly = attempts(MINUTELY), attempts(NIGHTLY)
    assert sorted(minutely) == every_minute(list(minutely))
    assert set(minutely.values()) == {1}
    assert len(minutely) >= 4  # it went through all of this
    assert len(nightly) == SLOTS + sum(slot >= "2026" for slot in nightly)
    assert set(nightly.values()) == {1}
    outcomes = history(
        "SELECT outcome, pods, attempt, count(*) FROM report_scheduler.runs GROUP BY 1, 2, 3"
    )
    assert [row[:3] for row in outcomes] == [["Succeeded", "1", "1"]], outcomes
    files = [name for name in team.files() if name.endswith(".csv")]
    assert len(files) == len(minutely) + len(nightly)
    assert not [name for name in team.files() if name.endswith(".tmp")]

    # Nothing hangs when all of it goes, the operator first.
    helm("uninstall", RELEASE, "--wait")
    kubectl("delete", "namespace", TEAM, "--timeout=180s")
    assert "NotFound" in kubectl("get", "namespace", TEAM, check=False)
    crds = json.loads(kubectl("get", "crds", "-o", "json"))["items"]
    assert [c["metadata"]["name"] for c in crds if c["spec"]["group"] == "reports.adaf.io"]
