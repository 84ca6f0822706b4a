"""Redis in the admin API's status and health, asked by the API's own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.admin_api import SCHEDULER, Answer, Api, ApiProcess
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.redis import RedisServer


@pytest.fixture
def api(namespace: Namespace, operator: OperatorProcess, tmp_path: Path) -> Iterator[Api]:
    kubeconfig = namespace.plane.kubeconfig
    made = ApiProcess(kubeconfig, namespace.name, operator.config_file, tmp_path / "api.log")
    made.start()
    try:
        yield made.api
    finally:
        made.end()


def check(answer: Answer) -> dict[str, Any]:
    (found,) = [check for check in answer.body["checks"] if check["name"] == "redis"]
    return dict(found)


SAID = {"killed": "Connection refused", "hangs": "no answer in time"}


@pytest.mark.parametrize("fault", list(SAID))
def test_redis_in_status_and_health(
    api: Api, server: RedisServer, operator: OperatorProcess, fault: str
) -> None:
    status = api.get(f"{SCHEDULER}/status").body
    assert (status["status"], status["degraded"]) == ("healthy", [])
    health = api.get(f"{SCHEDULER}/health")
    assert (health.status, health.body["status"]) == (200, "healthy")
    assert check(health)["ok"]
    assert check(health)["latency_ms"] > 0

    server.kill() if fault == "killed" else server.pause()
    try:
        status = wait_for(
            "it is degraded",
            lambda: (a := api.get(f"{SCHEDULER}/status").body)["status"] == "degraded" and a,
            30,
            lambda: api.get(f"{SCHEDULER}/status").text,
        )
        (why,) = status["degraded"]
        assert why.startswith("redis: ")
        assert SAID[fault] in why
        health = api.get(f"{SCHEDULER}/health")
        assert (health.status, health.body["status"]) == (503, "degraded")
        assert not check(health)["ok"]
        assert SAID[fault] in check(health)["reason"]
    finally:
        server.start() if fault == "killed" else server.resume()
    wait_for("it is well", lambda: api.get(f"{SCHEDULER}/status").body["status"] == "healthy", 30)
    assert operator.exit_code is None
