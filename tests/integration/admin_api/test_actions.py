"""Actions are idempotent: under repeated clicks, and when any process dies in between."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.admin_api import SCHEDULER, Answer, Api, ApiProcess, fail_once
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import CORE, MERGE, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.proxy import Proxy, Write

KIM = "claimed: kim (loopback)"  # whoever may port-forward may give any name
GENERATE = "/api/admin/reports/generate"
LEASES = "/apis/coordination.k8s.io/v1"


def retry_path(job: dict[str, Any]) -> str:
    return f"{SCHEDULER}/jobs/{job['id']}/retry"


def fail_attempt(namespace: Namespace, job: str) -> None:
    namespace.end_pod(namespace.pod_of(job), exit_code=78, message="no such table")


def failed_ids(api: Api) -> set[str]:
    return {job["id"] for job in api.jobs(status="failed")}


def events(namespace: Namespace, reason: str) -> list[str]:
    found = namespace.list(CORE, "events")
    return sorted(event["message"] for event in found if event["reason"] == reason)


def test_idempotency_key_keeps_its_attempt_after_the_end(
    namespace: Namespace, api: Api, api_process: ApiProcess
) -> None:
    fail_once(namespace)
    (job,) = api.jobs(status="failed")
    path = retry_path(job)
    one = api.call("POST", path, Idempotency_Key="the-first", X_On_Call="kim")
    assert one.status == 202, one.text
    fail_attempt(namespace, one.body["job"])
    wait_for("it has failed", lambda: one.body["id"] in failed_ids(api))
    namespace.call("DELETE", namespace.path("/apis/batch/v1", "jobs", one.body["job"]))
    api_process.kill()
    api_process.start()
    again = api.call("POST", path, Idempotency_Key="the-first")
    assert (again.status, again.body["id"]) == (202, one.body["id"])
    assert again.body["status"] == "failed"
    # The outcome may be forgotten as well: a schedule keeps its last ones only.
    status = namespace.path("/apis/reports.adaf.io/v1alpha1", "reportschedules", "daily", "status")
    namespace.call("PATCH", status, {"status": {"recentRuns": []}}, MERGE)
    forgotten = wait_for(
        "it is forgotten",
        lambda: (a := api.call("POST", path, Idempotency_Key="the-first")).text != again.text and a,
    )
    assert isinstance(forgotten, Answer)
    assert (forgotten.status, forgotten.body["id"]) == (202, one.body["id"])
    assert len(namespace.jobs()) == 1
    other = api.call("POST", GENERATE, {"type": "x", "date": "2026-01-05"},
                     Idempotency_Key="the-first")  # fmt: skip
    assert (other.status, other.kind) == (422, "application/problem+json")
    assert "send a new key" in other.body["detail"]
    assert events(namespace, "RetryRequested") == [f"{one.body['id']}: requested by {KIM}"]
    assert api_process.audit()[0] == f"retry by {KIM}: {one.body['id']}"


def test_other_idempotency_key_creates_another_attempt(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *")
    namespace.wait_until_observed("daily")
    day = f"{datetime.now(UTC).date() - timedelta(days=1)}"
    wanted = {"type": "dashboard", "date": day}
    one = api.call("POST", GENERATE, wanted, Idempotency_Key="1").body
    assert api.call("POST", GENERATE, wanted, Idempotency_Key="2").body["id"] == one["id"]
    namespace.end_pod(namespace.pod_of(one["job"]))
    wait_for("it is done", lambda: api.jobs(status="succeeded"))
    for key in ("1", "2"):
        answer = api.call("POST", GENERATE, wanted, Idempotency_Key=key)
        assert (answer.body["id"], answer.body["status"]) == (one["id"], "succeeded")
    three = api.call("POST", GENERATE, wanted, Idempotency_Key="3").body
    assert (three["slot"], three["attempt"]) == (one["slot"], 2)
    kept = namespace.call("GET", namespace.path(CORE, "configmaps", "shared-requests"))["data"]
    assert len(kept) == 3
    assert all(len(name) == 64 for name in kept)  # digests: a key may be telling


@pytest.mark.parametrize("key", ["", "with blanks", "k" * 201, "\u00e9"])
def test_invalid_idempotency_key_is_refused(namespace: Namespace, api: Api, key: str) -> None:
    answer = api.call("POST", f"{SCHEDULER}/jobs/x/retry", Idempotency_Key=key)
    assert (answer.status, answer.kind) == (422, "application/problem+json")
    assert "Idempotency-Key" in answer.body["detail"]


@pytest.fixture
def fragile(
    proxy: Proxy, namespace: Namespace, operator: OperatorProcess, tmp_path: Path
) -> Iterator[ApiProcess]:
    """An admin API behind the proxy, which sees its writes."""
    kubeconfig = proxy.write_kubeconfig(tmp_path / "api-kubeconfig")
    made = ApiProcess(kubeconfig, namespace.name, operator.config_file, tmp_path / "fragile.log")
    made.start()
    yield made
    made.end()


def test_actions_decide_on_a_fresh_list(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess, tmp_path: Path
) -> None:
    """The API's watches are silent; the operator's are not."""
    own = Proxy(plane.kubeconfig)
    own.start()
    deaf = ApiProcess(
        own.write_kubeconfig(tmp_path / "own"), namespace.name, operator.config_file,
        tmp_path / "deaf.log",
    )  # fmt: skip
    try:
        deaf.start()
        fail_once(namespace)
        (job,) = wait_for("it is heard of", lambda: deaf.api.jobs(status="failed")) or []
        own.silence_watches()
        for attempt in (2, 3):
            made = deaf.api.call("POST", retry_path(job)).body
            assert (made["slot"], made["attempt"]) == (job["slot"], attempt)
            assert deaf.api.call("POST", retry_path(job)).body["id"] == made["id"]
            fail_attempt(namespace, made["job"])
            wait_for(
                "it has failed",
                lambda job=made["job"]: any(  # type: ignore[misc]
                    entry["job"] == job and entry["outcome"] == "Failed"
                    for entry in namespace.status("daily").get("recentRuns", ())
                ),
            )
            # An old id makes no third run; who wants one more asks for the newest.
            assert deaf.api.call("POST", retry_path(job)).body["id"] == made["id"]
            job = made
        deaf.end()
    finally:
        own.stop()


@pytest.mark.parametrize("at", ["configmaps", "jobs"])
@pytest.mark.parametrize("key", [None, "again-and-again"])
def test_retry_survives_a_kill_at_each_write(
    namespace: Namespace, proxy: Proxy, fragile: ApiProcess, at: str, key: str | None
) -> None:
    fail_once(namespace)
    (job,) = fragile.api.jobs(status="failed")
    headers = {"Idempotency_Key": key} if key else {}
    killed: list[Write] = []

    def kill(write: Write) -> bool:
        if killed or write.method != "POST" or write.kind != (at if key else "jobs"):
            return False
        killed.append(write)
        fragile.kill()
        return True

    proxy.after_write = kill
    with pytest.raises(http.client.RemoteDisconnected):
        fragile.api.call("POST", retry_path(job), **headers)
    assert len(killed) == 1
    fragile.start()
    answers = [fragile.api.call("POST", retry_path(job), **headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202], answers
    assert len({answer.body["id"] for answer in answers}) == 1
    made = [j["metadata"]["name"] for j in namespace.jobs() if j["metadata"]["name"] != "run-1"]
    assert made == [answers[0].body["job"]]


def test_dead_letters_are_listed_and_retried(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", reportType="dashboard", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    for number in range(3):  # each fails before the next, so that each has a slot of its own
        namespace.start("daily", f"run-{number}")
        fail_attempt(namespace, f"run-{number}")
        wait_for(
            "its outcome",
            lambda number=number: len(namespace.status("daily").get("recentRuns", ())) > number,
        )
    path = f"{SCHEDULER}/dead-letters"
    listed = wait_for("all are dead", lambda: (b := api.get(path).body)["total"] == 3 and b)
    assert isinstance(listed, dict)
    newest, middle, oldest = listed["dead_letters"]
    assert [job["job"] for job in (newest, middle, oldest)] == ["run-2", "run-1", "run-0"]
    first = api.get(f"{path}?limit=2").body
    second = api.get(f"{path}?limit=2&cursor={first['next']}").body
    assert first["dead_letters"] + second["dead_letters"] == listed["dead_letters"]
    assert (first["total"], second["next"]) == (3, None)
    assert api.get(f"{path}?report_type=other").body["dead_letters"] == []

    one = api.call("POST", f"{path}/retry", {"ids": [oldest["id"], "no.such.id.1"]})
    assert one.status == 202, one.text
    (attempt,) = one.body["jobs"]
    assert (attempt["slot"], attempt["attempt"]) == (oldest["slot"], 2)
    (refusal,) = one.body["refused"]
    assert (refusal["id"], "no job" in refusal["reason"]) == ("no.such.id.1", True)
    twice = api.call("POST", f"{path}/retry", {"ids": [oldest["id"]]})
    assert [job["id"] for job in twice.body["jobs"]] == [attempt["id"]]
    wait_for("two are left", lambda: api.get(path).body["total"] == 2)

    rest = api.call("POST", f"{path}/retry", {"all": True})
    assert {job["slot"] for job in rest.body["jobs"]} == {newest["slot"], middle["slot"]}
    assert (rest.body["refused"], rest.body["left"]) == ([], 0)
    wait_for("none is left", lambda: api.get(path).body["total"] == 0)
    none = api.call("POST", f"{path}/retry", {"all": True})
    assert none.body == {"jobs": [], "refused": [], "left": 0}
    assert len(namespace.jobs()) == 6
    assert len(events(namespace, "RetryRequested")) == 3

    namespace.end_pod(namespace.pod_of(attempt["job"]))
    wait_for("it is done", lambda: api.jobs(status="succeeded"))
    refused = api.call("POST", f"{path}/retry", {"ids": [oldest["id"]]})
    assert "succeeded" in refused.body["refused"][0]["reason"]


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"all": False}, {"all": True, "ids": ["x"]}, {"ids": ["x"] * 101}]
)
def test_dead_letter_retry_needs_a_selection(namespace: Namespace, api: Api, body: object) -> None:
    answer = api.call("POST", f"{SCHEDULER}/dead-letters/retry", body)
    assert (answer.status, answer.kind) == (422, "application/problem+json")


def test_cleanup_and_shutdown_are_audited(
    namespace: Namespace, api: Api, api_process: ApiProcess
) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-0")
    namespace.start("daily", "run-1")
    wait_for(
        "one runs, one waits",
        lambda: [namespace.status("daily").get(name) for name in ("active", "queued")] == [1, 1],
    )
    body = {"older_than_hours": 0}
    (purged,) = api.call("POST", f"{SCHEDULER}/queue/cleanup", body, X_On_Call="kim").body["jobs"]
    assert events(namespace, "PurgeRequested") == [f"{purged}: requested by {KIM}"]
    assert api.call("POST", f"{SCHEDULER}/shutdown", X_On_Call="kim").status == 202
    (told,) = events(namespace, "ShutdownRequested")
    assert told.endswith(f": requested by {KIM}")
    assert [line.partition(")")[0] for line in api_process.audit()] == [
        "purge by claimed: kim (loopback", "shutdown by claimed: kim (loopback"
    ]  # fmt: skip


def test_first_attempt_by_hand_is_the_slots_run(namespace: Namespace, api: Api) -> None:
    """The CronJob controller finds the slot's Job already created."""
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *")
    namespace.wait_until_observed("daily")
    day = datetime.now(UTC).date() - timedelta(days=1)
    job = api.call("POST", GENERATE, {"type": "dashboard", "date": f"{day}"}).body
    slot = datetime.fromisoformat(job["slot"])
    assert job["job"] == f"daily-{int(slot.timestamp()) // 60}"


@pytest.mark.parametrize("skew", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_lease_of_another_clock_still_counts(
    namespace: Namespace,
    api: Api,
    operator: OperatorProcess,
    plane: ControlPlane,
    skew: timedelta,
) -> None:
    assert operator.terminate() == 0
    wait_for("nobody leads", lambda: api.get(f"{SCHEDULER}/status").body["status"] == "down")
    path = namespace.path(LEASES, "leases", "shared")

    def renew() -> None:
        now = f"{datetime.now(UTC) + skew:%Y-%m-%dT%H:%M:%S.%fZ}"
        spec = {"holderIdentity": "another", "leaseDurationSeconds": 1, "renewTime": now}
        namespace.call("PATCH", path, {"spec": spec}, MERGE)

    def state() -> str:
        return str(api.get(f"{SCHEDULER}/status").body["status"])

    renew()
    wait_for("it leads", lambda: (renew(), state() == "healthy")[1])
    for _ in range(5):
        renew()
        assert state() == "healthy"
        assert api.get(f"{SCHEDULER}/health").status == 200
    wait_for("its silence is noticed", lambda: state() == "down")
    assert json.loads(api.get(f"{SCHEDULER}/status").text)["last_heartbeat"]
