"""Operator, admin API and PostgreSQL together: no outcome is lost or doubled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg

from hack.testbed.admin_api import SCHEDULER, Api, ApiProcess
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.postgres import PostgresServer
from hack.testbed.waiting import wait_for
from report_operator.adapters.postgres.database import read_conninfo
from report_runner.contract.reasons import Reason
from report_runner.contract.result import (
    DeliveryResult,
    DeliveryStatus,
    Outcome,
    OutputFile,
    RunResult,
    dump_result,
)
from tests.support.proxy import Proxy, Write

RUNS = 100


def rows(secret: Path, columns: str = "job") -> list[tuple[Any, ...]]:
    with psycopg.connect(read_conninfo(secret, "tests", 10)) as connection:
        return connection.execute(
            f"SELECT {columns} FROM report_scheduler.runs ORDER BY finished_at, job"
        ).fetchall()


def recorded(secret: Path, count: int) -> list[tuple[Any, ...]]:
    def enough() -> list[tuple[Any, ...]] | None:
        try:
            found = rows(secret)
        except psycopg.Error:
            return None
        return found if len(found) >= count else None

    return wait_for(f"{count} runs in history", enough, 90) or []


@contextmanager
def api_of(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess, directory: Path
) -> Iterator[Api]:
    made = ApiProcess(plane.kubeconfig, namespace.name, operator.config_file, directory / "api.log")
    made.start()
    try:
        yield made.api
    finally:
        made.end()


def metric(operator: OperatorProcess, port: int, name: str) -> float | None:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
    return None


def test_runs_that_end_while_postgres_is_down(
    namespace: Namespace,
    own_server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> None:
    """The operator is killed meanwhile: each run is recorded once, and pruned only then."""
    secret = own_server.make_database(tmp_path)
    port = free_port()
    operator = make_operator(
        postgresSecret=str(secret),
        metricsPort=port,
        admission={"maxActive": RUNS},
        history={"keepSucceededJobs": 0, "keepFailedJobs": 0, "keepOutcomes": 1},
    )
    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    for number in range(RUNS):
        namespace.start("daily", f"run-{number}")
    pods = [namespace.pod_of(f"run-{number}") for number in range(RUNS)]
    own_server.stop()
    for number, pod in enumerate(pods[: RUNS // 2]):
        namespace.end_pod(pod, exit_code=70 if number % 3 == 0 else 0)
    wait_for(
        "their outcomes are in status",
        lambda: sum(namespace.status("daily").get("runCounts", {}).values()) == RUNS // 2,
    )
    up = 'report_scheduler_dependency_up{dependency="postgres"}'
    wait_for("it is told", lambda: metric(operator, port, up) == 0, 60, operator.log)
    waiting = "report_scheduler_history_pending_records"
    wait_for("and how many wait", lambda: metric(operator, port, waiting) == RUNS // 2)
    operator.kill()
    for pod in pods[RUNS // 2 :]:
        namespace.end_pod(pod)
    operator.start()
    operator.wait_until_leading()
    wait_for(
        "all outcomes are in status",
        lambda: sum(namespace.status("daily").get("runCounts", {}).values()) == RUNS,
        90,
    )
    operator.wait_for_resyncs()
    assert len(namespace.jobs()) == RUNS  # not one is pruned
    assert len(namespace.status("daily")["recentRuns"]) == RUNS
    own_server.start()
    assert Counter(recorded(secret, RUNS)) == {(f"run-{n}",): 1 for n in range(RUNS)}
    wait_for("the Jobs may go now", lambda: namespace.jobs() == [], 60, operator.log)
    wait_for("so may the entries", lambda: len(namespace.status("daily")["recentRuns"]) == 1, 60)
    assert sum(namespace.status("daily")["runCounts"].values()) == RUNS
    assert len(rows(secret)) == RUNS
    assert metric(operator, port, up) == 1
    assert metric(operator, port, waiting) == 0
    own_server.stop()  # long connections break; the next run is recorded all the same
    own_server.start()
    namespace.start("daily", "one-more")
    namespace.end_pod(namespace.pod_of("one-more"))
    recorded(secret, RUNS + 1)


def test_operator_killed_after_each_write(
    namespace: Namespace,
    proxy: Proxy,
    server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> None:
    secret = server.make_database(tmp_path)
    operator = make_operator(
        postgresSecret=str(secret),
        history={"keepSucceededJobs": 0, "keepFailedJobs": 0, "keepOutcomes": 1},
    )

    def die(write: Write) -> bool:
        if write.status < 300:
            operator.kill()
        return write.status < 300

    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    proxy.after_write = die
    lives = 0

    def revive() -> None:
        nonlocal lives
        if operator.exit_code is not None:
            lives += 1
            operator.start()

    ended = set()

    def done() -> bool:
        revive()
        for pod in namespace.pods():
            job = pod["metadata"]["labels"]["job-name"]
            if pod["status"]["phase"] == "Pending" and job not in ended:
                ended.add(job)
                namespace.end_pod(pod, exit_code=70 if job == "bad" else 0)
        return len(ended) == 2 and not namespace.jobs()

    namespace.start("daily", "good")
    namespace.start("daily", "bad")
    wait_for("both are over and pruned", done, 180, operator.log)
    proxy.after_write = None
    revive()
    assert lives > 3
    assert sorted(rows(secret, "job, outcome")) == [("bad", "Failed"), ("good", "Succeeded")]


def test_api_answers_from_history(
    plane: ControlPlane,
    namespace: Namespace,
    own_server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> None:
    secret = own_server.make_database(tmp_path)
    operator = make_operator(
        postgresSecret=str(secret),
        admission={"maxActive": 5},
        history={"keepSucceededJobs": 0, "keepFailedJobs": 0, "keepOutcomes": 1},
    )
    operator.start(same_lease=True)
    operator.wait_until_leading()
    namespace.apply("daily", reportType="dashboard", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    told = RunResult(
        outcome=Outcome.FAILED,
        reason=Reason.DELIVERY_FAILED,
        message="451 from 10.0.0.7: try later",
        pages=3,
        outputs=[OutputFile(path="2026/a.csv", format="csv", bytes=12, sha256="ab" * 32)],
        deliveries=[
            DeliveryResult(recipient="a@x.test", status=DeliveryStatus.FAILED, error="451")
        ],
    )
    namespace.start("daily", "failed")
    namespace.end_pod(namespace.pod_of("failed"), exit_code=75, message=dump_result(told))
    recorded(secret, 1)
    for number in range(3):
        namespace.start("daily", f"good-{number}")
        namespace.end_pod(namespace.pod_of(f"good-{number}"))
        recorded(secret, 2 + number)
    wait_for(
        "status has forgotten it",
        lambda: (
            [run["job"] for run in namespace.status("daily")["recentRuns"]] == ["good-2"]
            and not namespace.jobs()
        ),
    )
    with api_of(plane, namespace, operator, tmp_path) as api:
        answer = api.get(f"{SCHEDULER}/jobs?limit=2").body
        assert answer["degraded"] == []
        seen = [job["job"] for job in answer["jobs"]]
        answer = api.get(f"{SCHEDULER}/jobs?limit=2&cursor={answer['next']}").body
        seen += [job["job"] for job in answer["jobs"]]
        assert answer["next"] is None
        assert sorted(seen) == ["failed", "good-0", "good-1", "good-2"]
        (failed,) = api.jobs(status="failed", report_type="dashboard")
        assert api.jobs(status="running") == []
        detail = api.get(f"{SCHEDULER}/jobs/{failed['id']}").body
        assert detail["error_message"] == told.message
        assert detail["files"] == [
            {
                "path": "2026/a.csv",
                "format": "csv",
                "bytes": 12,
                "sha256": "ab" * 32,
                "state": "unknown",
            }  # no file server is there to ask
        ]
        assert detail["deliveries"] == [
            {
                "recipient": "a@x.test",
                "channel": "email",
                "status": "failed",
                "message_id": None,
                "error": "451",
            }
        ]
        found = api.get("/api/admin/deliveries?recipient=A@X.test&channel=email").body
        assert [(one["job_id"], one["status"]) for one in found["deliveries"]] == [
            (failed["id"], "failed")
        ]
        assert api.get("/api/admin/deliveries?channel=upload").body["deliveries"] == []
        assert api.call("GET", "/api/admin/deliveries?cursor=x").status == 422
        assert (detail["pages"], detail["pods"]) == (3, 1)
        assert detail["admitted_at"]
        assert [attempt["id"] for attempt in detail["attempts"]] == [failed["id"]]
        metrics = api.get(f"{SCHEDULER}/metrics").body
        assert (metrics["finished"], metrics["success_rate_percent"]) == (4, 75.0)
        assert metrics["avg_execution_time_ms"] is not None
        check_analytics(api)
        check_database(api, namespace)
        attempt = api.call("POST", f"{SCHEDULER}/jobs/{failed['id']}/retry")
        assert attempt.status == 202, attempt.text
        assert (attempt.body["attempt"], attempt.body["slot"]) == (2, failed["slot"])
        again = api.call("POST", f"{SCHEDULER}/jobs/{failed['id']}/retry")
        assert again.body["id"] == attempt.body["id"]
        check_without_postgres(api, own_server, failed["id"])


def check_analytics(api: Api) -> None:
    for period in ("24h", "7d", "30d"):
        found = api.get(f"{SCHEDULER}/analytics/failures?period={period}").body
        hours = found["failure_rate_by_hour"]
        assert [hour["hour"] for hour in hours] == list(range(24))
        assert sum(hour["runs"] for hour in hours) == 4
        assert found["top_failed_report_types"] == [
            {"report_type": "dashboard", "runs": 4, "failures": 1, "rate": 0.25}
        ]
        (pattern,) = found["common_error_patterns"]
        assert (pattern["pattern"], pattern["count"]) == ("<n> from <host>: try later", 1)
        found = api.get(f"{SCHEDULER}/analytics/performance?period={period}").body
        assert sum(point["runs"] for point in found["execution_time_trend"]) == 4
        assert found["slowest_report_types"][0]["report_type"] == "dashboard"
    refused = api.get(f"{SCHEDULER}/analytics/failures?period=1y")
    assert refused.status == 422
    assert "'24h', '7d' or '30d'" in refused.body["detail"]


def check_database(api: Api, namespace: Namespace) -> None:
    health = api.get(f"{SCHEDULER}/health/database")
    assert health.status == 200, health.text
    assert health.body["ok"]
    assert health.body["server_version"]
    assert sum(health.body["connections"].values()) >= 2  # the operator's and the API's
    checks = api.get(f"{SCHEDULER}/health").body["checks"]
    assert {check["name"]: check["ok"] for check in checks}["postgres"]
    (deployment,) = api.get("/api/admin/deployments/recent").body
    assert any("scheduler" in component for component in deployment["components"])
    assert deployment["image"] == "localhost/none:tests"


def check_without_postgres(api: Api, server: PostgresServer, identity: str) -> None:
    """The API continues with the schedules' status, and reports so."""
    server.stop()
    health = api.get(f"{SCHEDULER}/health/database")
    assert (health.status, health.body["ok"]) == (503, False)
    assert "refused" in health.body["reason"]
    wait_for("status tells", lambda: api.get(f"{SCHEDULER}/status").body["status"] == "degraded")
    status = api.get(f"{SCHEDULER}/status").body
    assert any(text.startswith("postgres: ") for text in status["degraded"])
    assert api.get(f"{SCHEDULER}/health").status == 503
    jobs = api.get(f"{SCHEDULER}/jobs?status=succeeded").body
    assert [job["job"] for job in jobs["jobs"]] == ["good-2"]
    assert "PostgreSQL" in jobs["degraded"][0]
    metrics = api.get(f"{SCHEDULER}/metrics").body
    assert metrics["finished"] == 1
    assert metrics["degraded"]
    gone = api.get(f"{SCHEDULER}/jobs/{identity}")
    assert (gone.status, gone.kind) == (503, "application/problem+json")
    assert api.get(f"{SCHEDULER}/jobs/{jobs['jobs'][0]['id']}").status == 200
    assert api.get("/api/admin/deployments/recent").body == []
    server.start()
    wait_for("it is back", lambda: api.get(f"{SCHEDULER}/health/database").status == 200)
    wait_for("and asked", lambda: api.get(f"{SCHEDULER}/jobs").body["degraded"] == [])


def test_api_answers_from_status_without_postgres(
    plane: ControlPlane,
    namespace: Namespace,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> None:
    operator = make_operator()
    operator.start(same_lease=True)
    operator.wait_until_leading()
    namespace.apply("daily", reportType="dashboard")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    namespace.end_pod(namespace.pod_of("run-1"), exit_code=78, message="no table 7")
    wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"))
    with api_of(plane, namespace, operator, tmp_path) as api:
        answer = api.get(f"{SCHEDULER}/jobs").body
        assert [job["job"] for job in answer["jobs"]] == ["run-1"]
        assert "not configured" in answer["degraded"][0]
        found = api.get(f"{SCHEDULER}/analytics/failures?period=24h").body
        assert found["common_error_patterns"][0]["pattern"].endswith("no table <n>")
        assert found["top_failed_report_types"][0]["failures"] == 1
        assert len(found["failure_rate_by_hour"]) == 24
        assert api.get(f"{SCHEDULER}/analytics/performance").body["execution_time_trend"]
        assert api.get(f"{SCHEDULER}/health/database").status == 503
        assert api.get(f"{SCHEDULER}/status").body["status"] == "healthy"
        roll_out(namespace, operator.config_file)
        (deployment,) = api.get("/api/admin/deployments/recent").body
        assert (deployment["version"], deployment["image"]) == ("1.2.3", "reports:1.2.3")


def roll_out(namespace: Namespace, config: Path) -> None:
    """A Deployment named as the operator's Lease, and its ReplicaSet."""
    name = json.loads(config.read_text())["leaseName"]
    labels = {"app": "operator", "app.kubernetes.io/version": "1.2.3"}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "operator"}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "operator", "image": "reports:1.2.3"}]},
        },
    }
    about = {"apiVersion": "apps/v1", "kind": "Deployment"}
    made = namespace.call(
        "POST",
        namespace.path("/apis/apps/v1", "deployments"),
        {**about, "metadata": {"name": name}, "spec": spec},
    )
    owner = {**about, "name": name, "uid": made["metadata"]["uid"]}
    meta = {"name": f"{name}-1", "ownerReferences": [owner]}
    namespace.call(
        "POST",
        namespace.path("/apis/apps/v1", "replicasets"),
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec},
    )
