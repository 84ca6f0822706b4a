"""The runbook's alert end to end: real rules, a real Prometheus, the operator in its pod."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team
from tests.e2e.test_services import query
from tests.support.monitoring import PrometheusProcess

ALERT = "ReportSchedulerFailed"
DEPLOYMENT = "deploy/report-scheduler-adaf-report-scheduler"


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[PrometheusProcess]:
    """A Prometheus that scrapes the operator's pod through a port-forward."""
    port = free_port()
    forward = subprocess.Popen(
        ["kubectl", "-n", "report-scheduler", "port-forward", DEPLOYMENT, f"{port}:9090"],
        stdout=subprocess.DEVNULL,
    )

    def open_() -> bool:
        assert forward.poll() is None, "kubectl port-forward ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    made = PrometheusProcess(tmp_path, port)
    try:
        wait_for("the operator's metrics", open_)
        made.start()
        yield made
    finally:
        made.stop()
        forward.kill()
        forward.wait()


def test_alert_fires_for_a_failure_and_resolves_after_a_success(
    team: Team, prometheus: PrometheusProcess
) -> None:
    team.copy_secret("report-db")
    team.apply("daily", tier="critical", report=query("SELECT * FROM nowhere"))
    assert team.run("daily", "bad")["outcome"] == "Failed"

    def firing() -> list[dict[str, str]]:
        alerts = prometheus.firing(ALERT)
        return [a for a in alerts if a["labels"]["namespace"] == team.namespace]

    (alert,) = wait_for("it fires", firing, 120, prometheus.alerts)
    assert alert["labels"]["reportschedule"] == "daily"
    assert alert["labels"]["reason"] == "failed"
    assert alert["annotations"]["runbook_url"].endswith("#reportschedulerfailed-reason-failed")

    team.apply("daily", tier="critical", report=query("SELECT 1 AS one"))
    assert firing()  # an edit alone mends nothing
    assert team.run("daily", "good")["outcome"] == "Succeeded"
    wait_for("it is over", lambda: not firing(), 120, prometheus.alerts)
