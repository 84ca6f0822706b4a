"""Dead letters are cleared everywhere at once: by DEL in Redis, and by the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testbed.admin_api import SCHEDULER, Api, ApiProcess
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.redis import DEAD_LETTERS, RedisServer
from tests.support.redis_scenario import dead_letters, fail, wait_for_list

PATH = f"{SCHEDULER}/dead-letters"


@pytest.fixture
def api(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess, tmp_path: Path
) -> Iterator[Api]:
    made = ApiProcess(plane.kubeconfig, namespace.name, operator.config_file, tmp_path / "api.log")
    made.start()
    yield made.api
    made.end()


def cleared_events(namespace: Namespace) -> list[tuple[str, str, str]]:
    """Kind and name of the object, and the message."""
    return [
        (event["involvedObject"]["kind"], event["involvedObject"]["name"], event["message"])
        for event in namespace.list("/api/v1", "events")
        if event["reason"] == "DeadLettersCleared"
    ]


def dead(api: Api) -> list[str]:
    body = api.get(PATH).body
    assert body["total"] == len(body["dead_letters"])
    return [job["schedule"] for job in body["dead_letters"]]


def test_a_deletion_in_redis_clears_the_api(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess, api: Api
) -> None:
    for name in ("one", "two"):
        fail(namespace, name, f"{name}-1")
    wait_for_list(server, DEAD_LETTERS, "two", "one")
    assert dead(api) == ["two", "one"]
    server.call("DEL", DEAD_LETTERS)
    wait_for("it is noted", lambda: dead_letters(operator) == 0, 30, operator.log)
    assert dead(api) == []
    assert api.call("POST", f"{PATH}/retry", {"all": True}).body["jobs"] == []
    page = api.get("/").text
    assert "No dead letters since the list was cleared" in page
    assert "by somebody in Redis, which does not say who" in page
    told = wait_for("three Events", lambda: len(found := cleared_events(namespace)) == 3 and found)
    assert sorted(kind for kind, _, _ in told) == ["Lease", "ReportSchedule", "ReportSchedule"]
    assert {name for kind, name, _ in told if kind == "ReportSchedule"} == {"one", "two"}
    assert all("by somebody in Redis" in message for _, _, message in told)
    body = api.get(PATH).body
    assert "in Redis" in body["cleared_by"]
    assert body["cleared_at"] >= body["cleared_through"]
    assert "0 given up" in page
    fail(namespace, "three", "three-1")
    wait_for_list(server, DEAD_LETTERS, "three")
    assert dead(api) == ["three"]


def test_a_clearing_by_the_api_clears_redis_and_the_metric(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess, api: Api
) -> None:
    for name in ("one", "two"):
        fail(namespace, name, f"{name}-1")
    wait_for_list(server, DEAD_LETTERS, "two", "one")
    newest = api.get(PATH).body["dead_letters"][0]["failed_at"]
    fail(namespace, "three", "three-1")  # not seen by whoever clears
    wait_for_list(server, DEAD_LETTERS, "three", "two", "one")
    done = api.call("POST", f"{PATH}/clear", {"through": newest}, X_On_Call="kim")
    assert (done.status, done.body) == (200, {"cleared": 2, "through": newest})
    assert dead(api) == ["three"]
    assert api.get(PATH).body["cleared_through"] == newest
    assert "kim" in api.get(PATH).body["cleared_by"]
    wait_for_list(server, DEAD_LETTERS, "three")
    wait_for("the metric", lambda: dead_letters(operator) == 1, 30, operator.log)
    (told,) = [
        event
        for event in namespace.list("/api/v1", "events")
        if event["reason"] == "DeadLettersCleared"
    ]
    assert told["involvedObject"]["kind"] == "Lease"
    assert f"2 dead letters, failed until {newest}" in told["message"]
    assert "kim" in told["message"]
    # A far instant hides nothing that is still to come.
    assert api.call("POST", f"{PATH}/clear", {"through": "2199-01-01T00:00:00Z"}).status == 200
    assert api.call("POST", f"{PATH}/clear").body == {"cleared": 0, "through": None}
    assert {job["status"] for job in api.jobs()} == {"failed"}  # the runs are what they were
    fail(namespace, "four", "four-1")
    wait_for_list(server, DEAD_LETTERS, "four")
    assert dead(api) == ["four"]
