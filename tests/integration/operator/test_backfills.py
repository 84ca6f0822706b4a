"""ReportBackfills beside a real API server: the runs that they create, count and leave alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hack.testbed.apiserver import ApiServer
from hack.testbed.namespace import BATCH, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.backfills import OVER, Backfills, Kubelet, annotation
from tests.support.proxy import Proxy, Write
from tests.support.restart import restarted

DAILY = "0 6 * * *"


@pytest.fixture
def backfills(namespace: Namespace) -> Backfills:
    return Backfills(namespace)


@pytest.fixture
def kubelet(namespace: Namespace) -> Kubelet:
    return Kubelet(namespace)


def apply(namespace: Namespace, name: str, **spec: Any) -> None:
    """Apply a suspended schedule of a report at six, so that only backfills run."""
    namespace.apply(name, **{"schedule": DAILY, "suspend": True, **spec})
    namespace.wait_until_observed(name)


def finish(kubelet: Kubelet, backfills: Backfills, name: str, seconds: float = 120) -> Any:
    kubelet.work_until(
        f"{name} is over",
        lambda: backfills.status(name).get("state") in OVER,
        seconds,
        lambda: (backfills.status(name), backfills.namespace.jobs()),
    )
    return backfills.status(name)


def dates(jobs: list[Any]) -> list[str | None]:
    return [annotation(job, "report-date") for job in jobs]


def test_every_slot_of_a_range_is_run_and_counted(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "daily")
    uid = backfills.ask("march", "2024-03-29", "2024-04-02")["metadata"]["uid"]
    backfills.wait_for("march", running=2, total=5)
    first, second = wait_for("its first Jobs", lambda: len(j := backfills.jobs()) == 2 and j)  # type: ignore[misc]
    assert dates([first, second]) == ["2024-03-29", "2024-03-30"]
    assert annotation(first, "slot") == "2024-03-29T05:00:00Z"
    assert annotation(first, "priority") == "low"
    assert annotation(first, "backfill") == "march"
    assert first["metadata"]["labels"]["reports.adaf.io/backfill-uid"] == uid
    status = finish(kubelet, backfills, "march")
    assert (status["state"], status["progress"]) == ("Succeeded", "5/5")
    assert (status["done"], status["failed"], status["skipped"]) == (5, 0, 0)
    # Summer time began on the third of these days.
    assert status["cursor"] == {"slot": "2024-04-02T04:00:00Z", "schedule": "daily"}
    assert status["completionTime"] >= status["startTime"]
    assert backfills.condition("march", "Complete")["reason"] == "AllSucceeded"
    assert kubelet.most == 1  # the schedule's own policy is Forbid
    assert len(kubelet.ended) == len(set(kubelet.ended)) == 5
    recent = namespace.status("daily")["recentRuns"]
    assert [run["reportDate"] for run in recent] == [
        *("2024-03-29", "2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02")
    ]
    assert {run["backfill"] for run in recent} == {"march"}
    assert namespace.status("daily")["runCounts"] == {"Succeeded": 5}


def test_kubectl_shows_the_progress(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "daily", concurrencyPolicy="Allow")
    kubelet.exit_code = lambda pod: 78 if annotation(pod, "report-date") == "2024-03-01" else 0
    backfills.ask("march", "2024-03-01", "2024-03-12", everySchedule=True, maxConcurrent=3)
    finish(kubelet, backfills, "march")
    assert backfills.status("march")["state"] == "Failed"
    table = table_of(namespace.plane.api, backfills.path())
    assert {k: table[k] for k in ("Name", "Progress", "Failed", "Running", "State")} == {
        "Name": "march", "Progress": "12/12", "Failed": 1, "Running": 0, "State": "Failed"
    }  # fmt: skip
    (failure,) = backfills.status("march")["lastFailures"]
    assert (failure["reason"], failure["reportDate"]) == ("ConfigurationError", "2024-03-01")


def table_of(api: ApiServer, path: str) -> dict[str, Any]:
    """The one row that `kubectl get` prints."""
    api.headers["Accept"] = "application/json;as=Table;v=v1;g=meta.k8s.io"
    try:
        body = api.call("GET", path).body
    finally:
        api.headers["Accept"] = "application/json"
    (row,) = body["rows"]
    names = [column["name"] for column in body["columnDefinitions"]]
    return dict(zip(names, row["cells"], strict=True))


def test_reprocess_missing_failed_and_all(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "daily", concurrencyPolicy="Allow")
    kubelet.exit_code = lambda pod: 78 if annotation(pod, "report-date") == "2024-03-02" else 0
    backfills.ask("first", "2024-03-01", "2024-03-02")
    assert finish(kubelet, backfills, "first")["failed"] == 1
    kubelet.exit_code = lambda pod: 0
    # One succeeded, one failed, one never ran.
    for reprocess, runs in (("failed", 1), ("missing", 2), ("all", 3)):
        name = f"dry-{reprocess}"
        backfills.ask(
            name, "2024-03-01", "2024-03-03", everySchedule=True, reprocess=reprocess, dryRun=True
        )
        status = backfills.wait_for(name, state="DryRun")
        assert (status["wouldRunCount"], len(status["wouldRun"])) == (runs, runs), reprocess
        assert (status["total"], status["skipped"]) == (3, 3 - runs)
    assert len(kubelet.ended) == 2  # nothing ran
    backfills.ask("mend", "2024-03-01", "2024-03-03", everySchedule=True, reprocess="failed")
    status = finish(kubelet, backfills, "mend")
    assert (status["done"], status["skipped"], status["progress"]) == (1, 2, "3/3")
    newest = namespace.status("daily")["recentRuns"][-1]
    assert (newest["reportDate"], newest["attempt"]) == ("2024-03-02", 2)
    backfills.ask("rest", "2024-03-01", "2024-03-03")
    status = finish(kubelet, backfills, "rest")
    assert (status["done"], status["skipped"]) == (1, 2)
    backfills.ask("anew", "2024-03-01", "2024-03-03", everySchedule=True, reprocess="all")
    assert finish(kubelet, backfills, "anew")["done"] == 3
    attempts = Counter(run["reportDate"] for run in namespace.status("daily")["recentRuns"])
    assert attempts == {"2024-03-01": 2, "2024-03-02": 3, "2024-03-03": 2}


def test_selections_by_type_tier_name_and_label_are_united(
    namespace: Namespace, backfills: Backfills, operator: OperatorProcess
) -> None:
    apply(namespace, "a", tier="critical", reportType="one")
    apply(namespace, "b", tier="bulk", reportType="two")
    apply(namespace, "c", reportType="three")
    apply(namespace, "d", reportType="four")
    namespace.call(
        "PATCH",
        namespace.path("/apis/reports.adaf.io/v1alpha1", "reportschedules", "d"),
        {"metadata": {"labels": {"team": "risk"}}},
        "application/merge-patch+json",
    )
    wait_for("a resync", lambda: operator.wait_for_resyncs(1) or True)
    for number, (spec, expected) in enumerate(
        [
            ({"tiers": ["critical"]}, ["a"]),
            ({"tiers": ["critical"], "reportTypes": ["two"]}, ["a", "b"]),
            ({"schedules": ["c"], "selector": {"matchLabels": {"team": "risk"}}}, ["c", "d"]),
            ({"everySchedule": True}, ["a", "b", "c", "d"]),
        ]
    ):
        name = f"dry-{number}"
        backfills.ask(name, "2024-03-01", "2024-03-01", dryRun=True, **spec)
        status = backfills.wait_for(name, state="DryRun")
        assert [run["schedule"] for run in status["wouldRun"]] == expected


def test_suspended_backfill_starts_no_run(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "daily", concurrencyPolicy="Allow")
    backfills.ask("march", "2024-03-01", "2024-03-06")
    backfills.wait_for("march", running=2)
    backfills.patch("march", suspend=True)
    backfills.wait_for("march", state="Suspended")
    kubelet.work_until(
        "what was made has ended", lambda: backfills.status("march")["progress"] == "2/6"
    )
    operator.wait_for_resyncs(2)
    assert backfills.status("march")["done"] == 2
    assert len(kubelet.ended) == 2
    backfills.patch("march", suspend=False, maxConcurrent=4)
    backfills.wait_for("march", running=4)
    assert finish(kubelet, backfills, "march")["done"] == 6


def test_deleting_a_backfill_deletes_its_waiting_runs(
    namespace: Namespace, backfills: Backfills, make_operator: Callable[..., OperatorProcess]
) -> None:
    """Also where the operator was down at the deletion."""
    operator = make_operator(admission={"maxActive": 2, "backfillHeadroom": 1})
    operator.start()
    operator.wait_until_leading()
    apply(namespace, "daily", concurrencyPolicy="Allow")
    for name, away in (("march", False), ("april", True)):
        backfills.ask(name, "2024-03-01", "2024-03-20", everySchedule=True, maxConcurrent=4)
        wait_for("one works, three wait", lambda: waiting(backfills.jobs()) == 3, 60, operator.log)
        if away:
            operator.kill()
        backfills.delete(name)
        if away:
            operator.start()
            operator.wait_until_leading()
        wait_for("the one that works is left", lambda: len(backfills.jobs()) == 1, 60)
        (job,) = backfills.jobs()
        assert not job["spec"]["suspend"]
        pod = namespace.pod_of(job["metadata"]["name"])
        namespace.end_pod(pod)
        wait_for(
            "its outcome",
            lambda: any(run["backfill"] == name for run in recorded(namespace, "daily")),  # noqa: B023
        )
        namespace.call("DELETE", namespace.path(BATCH, "jobs", job["metadata"]["name"]))
        wait_for("no Job", lambda: not backfills.jobs())


def waiting(jobs: list[Any]) -> int:
    return sum(bool(job["spec"]["suspend"]) for job in jobs)


def recorded(namespace: Namespace, schedule: str) -> list[Any]:
    return list(namespace.status(schedule).get("recentRuns", ()))


def test_operator_killed_after_each_write(
    namespace: Namespace,
    proxy: Proxy,
    backfills: Backfills,
    kubelet: Kubelet,
    make_operator: Callable[..., OperatorProcess],
) -> None:
    """Each life of the operator does one write without seeing its answer; each slot runs once."""
    operator = make_operator(history={"keepSucceededJobs": 0, "keepFailedJobs": 0})
    operator.start()
    operator.wait_until_leading()
    apply(namespace, "daily", concurrencyPolicy="Allow")

    untold: list[Write] = []

    def die(write: Write) -> bool:
        if write.status >= 300:
            return False
        untold.append(write)
        operator.kill()
        return True

    proxy.after_write = die
    kubelet.exit_code = lambda pod: 78 if annotation(pod, "report-date") == "2024-03-02" else 0
    with restarted(operator) as lives:
        backfills.ask("march", "2024-03-01", "2024-03-04")
        status = finish(kubelet, backfills, "march", 400)
        wait_for("no Job is left", lambda: not namespace.jobs(), 120)
        proxy.after_write = None
    assert {(write.method, write.kind) for write in untold} == {
        ("POST", "jobs"),
        ("PATCH", "jobs"),
        ("PUT", "reportschedules"),
        ("PUT", "reportbackfills"),
        ("DELETE", "jobs"),
    }
    assert len(untold) > 12
    assert lives[0] > 8  # at times two writes are under way when it dies
    assert [w for w in proxy.writes if w.status >= 500] == []
    assert (status["done"], status["failed"], status["progress"]) == (3, 1, "4/4")
    assert len(kubelet.ended) == len(set(kubelet.ended)) == 4
    assert sum(namespace.status("daily")["runCounts"].values()) == 4


def test_scheduled_runs_go_first_under_load(
    namespace: Namespace,
    backfills: Backfills,
    kubelet: Kubelet,
    make_operator: Callable[..., OperatorProcess],
) -> None:
    """Within the headroom they start at once; the others start before more of the backfill."""
    operator = make_operator(admission={"maxActive": 4, "backfillHeadroom": 2})
    operator.start()
    operator.wait_until_leading()
    apply(namespace, "daily", concurrencyPolicy="Allow", tier="bulk")
    apply(namespace, "urgent", concurrencyPolicy="Allow", priority="low")
    backfills.ask("march", "2024-03-01", "2024-03-30", tiers=["bulk"], maxConcurrent=10)
    wait_for("two of it work, others wait", lambda: waiting(backfills.jobs()) == 8, 60)
    first = set(active(namespace.jobs()))
    assert len(first) == 2
    for number in range(8):
        namespace.start("urgent", f"urgent-{number}")
    wait_for("two start, six wait", lambda: namespace.status("urgent").get("queued") == 6, 60)
    assert len(active(namespace.jobs())) == 4
    rounds = 0

    def all_have_started() -> bool:
        nonlocal rounds
        jobs = namespace.jobs()  # all of one moment
        assert len(active(jobs)) <= 4
        if not any(name.startswith("urgent") for name in suspended(jobs)):
            return True
        rounds += 1
        assert {name for name in active(jobs) if not name.startswith("urgent")} <= first
        return False

    kubelet.work_until("the scheduled runs have started", all_have_started)
    assert rounds > 1
    kubelet.work_until("march is over", lambda: backfills.status("march")["state"] == "Succeeded")
    assert namespace.status("urgent")["runCounts"] == {"Succeeded": 8}
    assert backfills.status("march")["done"] == 30


def active(jobs: list[Any]) -> list[str]:
    """Jobs that are admitted and not finished."""
    return [
        job["metadata"]["name"]
        for job in jobs
        if not job["spec"]["suspend"]
        and not any(
            c["type"] in ("Complete", "Failed") and c["status"] == "True"
            for c in job["status"].get("conditions") or ()
        )
    ]


def suspended(jobs: list[Any]) -> list[str]:
    return [job["metadata"]["name"] for job in jobs if job["spec"]["suspend"]]


def test_backfill_does_not_change_the_schedules_health(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    for name, code in (("good", 0), ("bad", 78)):
        apply(namespace, name, concurrencyPolicy="Allow")
        namespace.start(name, f"{name}-now")
        namespace.end_pod(namespace.pod_of(f"{name}-now"), exit_code=code)
        wait_for("its outcome", lambda: namespace.status(name).get("runCounts"))  # noqa: B023
    before = {name: health(namespace.status(name)) for name in ("good", "bad")}
    assert before["good"]["health"], before["bad"]["health"] == ("Healthy", "Failing")
    kubelet.exit_code = lambda pod: (
        78 if pod["metadata"]["labels"]["job-name"].startswith("good") else 0
    )
    backfills.ask("march", "2024-03-01", "2024-03-25", everySchedule=True, maxConcurrent=10)
    status = finish(kubelet, backfills, "march", 240)
    assert (status["done"], status["failed"], status["state"]) == (25, 25, "Failed")
    operator.wait_for_resyncs(1)
    assert {name: health(namespace.status(name)) for name in ("good", "bad")} == before


def health(status: Any) -> dict[str, Any]:
    failing = next(c for c in status["conditions"] if c["type"] == "Failing")
    return {
        "health": status["health"],
        "failing": failing,
        "consecutive": status["consecutiveFailures"],
        "success": status.get("lastSuccessTime"),
        "failure": status.get("lastFailure"),
    }


def test_overlapping_backfills_run_each_slot_once(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "daily", concurrencyPolicy="Allow")
    for name in ("one", "two"):
        backfills.ask(name, "2024-03-01", "2024-03-08")
    one, two = (finish(kubelet, backfills, name) for name in ("one", "two"))
    assert one["progress"] == two["progress"] == "8/8"
    assert len(kubelet.ended) == len(set(kubelet.ended)) == 8
    assert namespace.status("daily")["runCounts"] == {"Succeeded": 8}


def test_deleted_run_is_recreated_and_purged_run_counts_as_failed(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet,
    make_operator: Callable[..., OperatorProcess],
) -> None:  # fmt: skip
    operator = make_operator(admission={"maxActive": 2, "backfillHeadroom": 1})
    operator.start()
    operator.wait_until_leading()
    apply(namespace, "daily", concurrencyPolicy="Allow")
    backfills.ask("march", "2024-03-01", "2024-03-03", everySchedule=True, maxConcurrent=3)
    wait_for("two wait", lambda: waiting(backfills.jobs()) == 2)
    _, second, third = backfills.jobs()
    namespace.call("DELETE", namespace.path(BATCH, "jobs", second["metadata"]["name"]))
    namespace.call(
        "PATCH",
        namespace.path(BATCH, "jobs", third["metadata"]["name"]),
        {"metadata": {"annotations": {"reports.adaf.io/failure-reason": "QueueTimeout"}}},
        "application/merge-patch+json",
    )
    status = finish(kubelet, backfills, "march")
    assert (status["done"], status["failed"], status["progress"]) == (2, 1, "3/3")
    assert status["lastFailures"][0]["reason"] == "QueueTimeout"


def test_deleted_schedule_leaves_the_backfill(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    apply(namespace, "going", tier="bulk")
    apply(namespace, "staying", tier="bulk")
    backfills.ask("march", "2024-03-01", "2024-03-02", tiers=["bulk"])
    backfills.wait_for("march", running=2)
    namespace.call(
        "DELETE", namespace.path("/apis/reports.adaf.io/v1alpha1", "reportschedules", "going")
    )
    status = finish(kubelet, backfills, "march")
    assert (status["done"], status["state"]) == (2, "Succeeded")
    assert status["done"] + status["skipped"] == status["total"]


def test_backfill_waits_while_jobs_cannot_be_created(
    namespace: Namespace, backfills: Backfills, kubelet: Kubelet, operator: OperatorProcess
) -> None:
    backfills.ask("march", "2024-03-01", "2024-03-01", tiers=["critical"])
    status = backfills.wait_for("march", state="Waiting")
    assert backfills.condition("march", "Ready")["reason"] == "NoSchedule"
    assert "progress" not in status
    namespace.apply("broken", tier="critical", schedule="0 6 31 2 *")
    namespace.wait_for_ready("broken", "InvalidSchedule")
    wait_for(
        "it names the schedule",
        lambda: (
            (c := backfills.condition("march", "Ready"))["reason"] == "ScheduleNotReady"
            and "describe reportschedule broken" in c["message"]
        ),
    )
    namespace.apply("broken", tier="critical", schedule=DAILY, suspend=True)
    assert finish(kubelet, backfills, "march")["done"] == 1
    events = [
        event["reason"]
        for event in namespace.list("/api/v1", "events")
        if event["involvedObject"]["kind"] == "ReportBackfill"
    ]
    assert set(events) == {"NoSchedule", "ScheduleNotReady", "Ready", "BackfillComplete"}


def test_too_many_slots_are_refused(
    namespace: Namespace, backfills: Backfills, operator: OperatorProcess
) -> None:
    apply(namespace, "often", schedule="* * * * *")
    backfills.ask("year", "2024-01-01", "2024-12-31")
    backfills.wait_for("year", state="Waiting")
    condition = backfills.condition("year", "Ready")
    assert condition["reason"] == "TooManySlots"
    assert "fewer days" in condition["message"]


def test_future_dates_are_left_to_the_schedule(
    namespace: Namespace, backfills: Backfills, operator: OperatorProcess
) -> None:
    apply(namespace, "daily")
    today = datetime.now(UTC).date()
    backfills.ask(
        "this-year",
        f"{today}",
        f"{today.replace(month=12, day=31)}",
        everySchedule=True,
        dryRun=True,
    )
    assert backfills.wait_for("this-year", state="DryRun")["total"] <= 1
    backfills.ask("later", "2190-01-01", "2190-01-31")
    backfills.wait_for("later", state="Failed", total=0)
    condition = backfills.condition("later", "Complete")
    assert condition["reason"] == "NoSlot"
    assert "ask again for dates that have passed" in condition["message"]


def test_idle_backfill_causes_no_writes(
    namespace: Namespace,
    proxy: Proxy,
    backfills: Backfills,
    kubelet: Kubelet,
    operator: OperatorProcess,
) -> None:
    apply(namespace, "daily", concurrencyPolicy="Allow")
    backfills.ask("over", "2024-03-01", "2024-03-02")
    finish(kubelet, backfills, "over")
    backfills.ask("held-up", "2024-03-01", "2024-03-02", tiers=["critical"])
    backfills.wait_for("held-up", state="Waiting")
    backfills.ask("under-way", "2024-04-01", "2024-04-02")
    wait_for("its pods", lambda: len(namespace.pods()) == 4)
    operator.wait_for_resyncs(1)
    before = len(proxy.writes)
    operator.wait_for_resyncs(4)
    assert proxy.writes[before:] == []
