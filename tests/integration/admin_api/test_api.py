"""The admin API's endpoints, beside a real operator and API server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from hack.testbed.admin_api import SCHEDULER, Answer, Api, fail_once
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for


def test_first_calls_of_the_runbook(namespace: Namespace, api: Api) -> None:
    fail_once(namespace)
    status = wait_for(
        "the failure is seen",
        lambda: (found := api.get(f"{SCHEDULER}/status").body)["failing"] == 1 and found,
    )
    assert isinstance(status, dict)
    assert status["status"] == "healthy"  # a report that fails is no fault of the scheduler
    assert (status["active_jobs"], status["queue_depth"]) == (0, 0)
    assert status["uptime"] >= 0
    assert datetime.now(UTC) - datetime.fromisoformat(status["last_heartbeat"]) < timedelta(
        seconds=30
    )
    (job,) = api.jobs(status="failed", limit="10")
    assert (job["report_type"], job["reason"]) == ("type_daily", "ConfigurationError")
    assert "no such table" in job["error_message"]
    assert job["failed_at"]
    detail = api.get(f"{SCHEDULER}/jobs/{job['id']}").body
    assert detail["id"] == job["id"]
    assert f"kubectl -n {namespace.name} logs job/run-1" == detail["log_command"]
    yesterday = f"{datetime.now(UTC) - timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}"
    assert api.jobs(status="failed", since=yesterday) == [job]
    assert api.jobs(status="failed", until=yesterday) == []
    assert api.jobs(status="succeeded") == []
    numbers = api.get(f"{SCHEDULER}/metrics").body
    assert numbers["success_rate_percent"] == 0.0
    assert numbers["finished"] == 1


def test_repeated_retry_creates_one_attempt(namespace: Namespace, api: Api) -> None:
    fail_once(namespace)
    (job,) = api.jobs(status="failed")
    path = f"{SCHEDULER}/jobs/{job['id']}/retry"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.call("POST", path), range(4)))
    assert [answer.status for answer in answers] == [202] * 4, answers
    assert len({answer.body["id"] for answer in answers}) == 1
    attempt = answers[0].body
    assert (attempt["attempt"], attempt["slot"]) == (2, job["slot"])
    made = [j for j in namespace.jobs() if j["metadata"]["name"] != "run-1"]
    assert [j["metadata"]["name"] for j in made] == [attempt["job"]]
    namespace.end_pod(namespace.pod_of(attempt["job"]))
    wait_for("it is healthy", lambda: namespace.status("daily")["health"] == "Healthy")
    done = wait_for("it is seen", lambda: api.jobs(status="succeeded"))
    assert isinstance(done, list)
    assert [entry["id"] for entry in done] == [attempt["id"]]
    again = wait_for(
        "a retry of it is refused",
        lambda: (a := api.call("POST", path)).status == 409 and a,
    )
    assert isinstance(again, Answer)
    assert again.kind == "application/problem+json"
    assert "generate" in again.body["detail"]


def test_generate_for_a_date(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *")
    namespace.wait_until_observed("daily")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    wanted = {"type": "dashboard", "date": f"{yesterday}", "priority": "high"}
    one = api.call("POST", "/api/admin/reports/generate", wanted)
    two = api.call("POST", "/api/admin/reports/generate", wanted)
    assert (one.status, two.status) == (202, 202), one.text
    assert one.body["id"] == two.body["id"]
    assert one.body["report_date"] == f"{yesterday}"
    slot = datetime.fromisoformat(one.body["slot"])
    assert slot.date() == yesterday
    pod = namespace.pod_of(one.body["job"])
    assert pod["metadata"]["annotations"]["reports.adaf.io/report-date"] == f"{yesterday}"
    assert pod["metadata"]["annotations"]["reports.adaf.io/slot"] == one.body["slot"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"type": "unheard_of"}, 404, "known types: dashboard"),
        ({"date": "2999-01-01"}, 422, "has not begun in Europe/Madrid"),
        ({"date": "yesterday"}, 422, "date"),
        ({"priority": "urgent"}, 422, "priority"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_generate_refuses_invalid_requests(
    namespace: Namespace, api: Api, change: dict[str, str], status: int, said: str
) -> None:
    namespace.apply("daily", reportType="dashboard")
    namespace.wait_until_observed("daily")
    wanted = {"type": "dashboard", "date": "2026-01-05", **change}
    answer = api.call("POST", "/api/admin/reports/generate", wanted)
    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert said in answer.body["detail"]
    assert namespace.jobs() == []


def test_cleanup_ends_and_records_waiting_runs(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    for number in range(3):
        namespace.start("daily", f"run-{number}")
    wait_for("one runs, two wait", lambda: namespace.status("daily").get("queued") == 2)
    kept = api.call("POST", f"{SCHEDULER}/queue/cleanup", {"older_than_hours": 24})
    assert kept.body == {"removed": 0, "jobs": [], "dry_run": False, "not_waiting": []}
    removed = api.call("POST", f"{SCHEDULER}/queue/cleanup", {"older_than_hours": 0})
    assert removed.body["removed"] == 2, removed.text
    wait_for("they are recorded", lambda: len(api.jobs(status="failed")) == 2)
    assert {job["reason"] for job in api.jobs(status="failed")} == {"QueueTimeout"}
    assert {job["id"] for job in api.jobs(status="failed")} == set(removed.body["jobs"])
    wait_for("their Jobs are gone", lambda: len(namespace.jobs()) == 1)


def test_pagination_returns_each_job_once(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    for number in range(5):
        namespace.start("daily", f"run-{number}")
    wait_for("all are known", lambda: len(api.jobs()) == 5)
    seen: list[str] = []
    path = f"{SCHEDULER}/jobs?limit=2"
    cursor = ""
    while True:
        page = api.get(path + cursor).body
        assert len(page["jobs"]) <= 2
        seen += [job["job"] for job in page["jobs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == [f"run-{number}" for number in range(5)]


def test_graceful_shutdown_leaves_runs_alone(
    namespace: Namespace, api: Api, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    namespace.pod_of("run-1")
    answer = api.call("POST", f"{SCHEDULER}/shutdown?graceful=true")
    assert answer.status == 202, answer.text
    wait_for("it ends", lambda: operator.exit_code is not None, 60, operator.log)
    assert operator.exit_code == 0
    wait_for("it is missed", lambda: api.get(f"{SCHEDULER}/status").body["status"] == "down")
    assert api.get(f"{SCHEDULER}/health").status == 503
    (job,) = namespace.jobs()
    assert job["status"]["active"] == 1
    operator.start(same_lease=True)
    operator.wait_until_leading()
    assert api.get(f"{SCHEDULER}/status").body["status"] == "healthy"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{SCHEDULER}/jobs?state=failed", 422, "state"),
        (f"{SCHEDULER}/jobs?limit=0", 422, "limit"),
        (f"{SCHEDULER}/jobs?limit=501", 422, "limit"),
        (f"{SCHEDULER}/jobs?since=2026-01-01T00:00:00", 422, "since"),
        (f"{SCHEDULER}/jobs?cursor=xyz", 422, "cursor"),
        (f"{SCHEDULER}/jobs/none.daily.20260101T000000Z.1", 404, "no job"),
        (f"{SCHEDULER}/status?verbose=1", 422, "verbose"),
        ("/api/admin/nothing", 404, "Not Found"),
        ("/api/admin/reports/files/reports/", 404, "output.fileServer.enabled"),
    ],
)
def test_invalid_queries_are_refused(api: Api, path: str, status: int, said: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.kind) == (status, "application/problem+json"), answer.text
    assert said in answer.body["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:3000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_cross_site_requests_are_refused(api: Api, headers: dict[str, str]) -> None:
    answer = api.call("POST", f"{SCHEDULER}/queue/cleanup", {"older_than_hours": 1}, **headers)
    assert answer.status in (403, 421), answer.text


def test_large_body_is_refused(api: Api) -> None:
    answer = api.call("POST", "/api/admin/reports/generate", '{"type": "' + "x" * 70_000 + '"}')
    assert answer.status == 413


def test_metrics_in_text_format(namespace: Namespace, api: Api) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    answer = api.get(f"{SCHEDULER}/metrics", Accept="text/plain;version=0.0.4")
    assert answer.kind == "text/plain"
    assert 'report_scheduler_schedule_ready{namespace="' + namespace.name in answer.text


def test_openapi_document_lists_the_endpoints(api: Api) -> None:
    paths = api.get("/openapi.json").body["paths"]
    assert f"{SCHEDULER}/jobs/{{identity}}/retry" in paths
    assert "202" in paths["/api/admin/reports/generate"]["post"]["responses"]
