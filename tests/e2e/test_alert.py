"""From a report that fails to the page, with the operator in its pod, and the dashboards beside it.

Real rules, Prometheus and Alertmanager; `make test-monitoring` has the Prometheus operator as well.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import ROOT, Team
from tests.e2e.test_services import query
from tests.support.alertmanager import AlertmanagerProcess, Pager
from tests.support.chart import Object
from tests.support.dashboards import wait_until_queries_have_series
from tests.support.docs import anchors
from tests.support.monitoring import PrometheusProcess

ALERT = "ReportSchedulerFailed"
DEPLOYMENT = "deploy/report-scheduler-adaf-report-scheduler"
RECEIVER = "data-engineering"  # nobody has a route for the namespaces of tests
# From the end of the run to the page, without the chart's intervals (30 s to scrape, 30 s to
# evaluate) and Alertmanager's wait (30 s): what is left is the operator's. The machine is shared.
PAGE_SECONDS = 60.0


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as made:
        yield made


@pytest.fixture
def prometheus(tmp_path: Path, pager: Pager) -> Iterator[PrometheusProcess]:
    """Scrapes the operator's pod through a port-forward, and tells the pager."""
    port = free_port()
    forward = subprocess.Popen(
        ["kubectl", "-n", "report-scheduler", "port-forward", DEPLOYMENT, f"{port}:9090"],
        stdout=subprocess.DEVNULL,
    )

    def open_() -> bool:
        assert forward.poll() is None, "kubectl port-forward ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    alertmanager = AlertmanagerProcess(tmp_path, "teams", pager)
    made = PrometheusProcess(
        directory=tmp_path, target=port, alertmanager=alertmanager.port, interval="2s"
    )
    try:
        wait_for("the operator's metrics", open_)
        alertmanager.start()
        made.start()
        yield made
    finally:
        made.stop()
        alertmanager.stop()
        forward.kill()
        forward.wait()


def test_page_arrives_for_a_failure_and_ends_with_a_success(
    team: Team, prometheus: PrometheusProcess, pager: Pager
) -> None:
    team.copy_secret("report-db")
    team.apply("daily", tier="critical", report=query("SELECT * FROM nowhere"))
    bad = team.run("daily", "bad")
    assert bad["outcome"] == "Failed"

    def pages(status: str) -> list[Object]:
        """Of this schedule, in notifications that may tell of others' as well."""
        return [
            alert
            for page in pager.pages(RECEIVER, "firing") + pager.pages(RECEIVER, "resolved")
            for alert in page["alerts"]
            if alert["status"] == status
            and alert["labels"].get("namespace") == team.namespace
            and alert["labels"]["alertname"] == ALERT
        ]

    alert, *_ = wait_for("the page", lambda: pages("firing"), 120, prometheus.alerts)
    seconds = time.time() - datetime.fromisoformat(bad["finishedAt"]).timestamp()
    print(f"\nfrom the end of the run to the page: {seconds:.1f} s")
    assert seconds < PAGE_SECONDS
    assert alert["labels"] == {
        "alertname": ALERT,
        "namespace": team.namespace,
        "reportschedule": "daily",
        "tier": "critical",
        "team": team.namespace,
        "reason": "failed",
        "cause": "ConfigurationError",
        "severity": "sev3",
    }
    said = alert["annotations"]
    assert said["summary"] == f"Report {team.namespace}/daily failed: ConfigurationError"
    assert f"kubectl -n {team.namespace} describe" in said["description"]
    anchor = said["runbook_url"].rpartition("#")[2]
    assert anchor == "reportschedulerfailed-reason-failed"
    assert anchor in anchors((ROOT / "docs" / "runbook.md").read_text())

    variables = {"namespace": team.namespace, "reportschedule": "daily"}
    wait_until_queries_have_series(prometheus, variables, wrong=True)

    team.apply("daily", tier="critical", report=query("SELECT 1 AS one"))
    assert prometheus.firing(ALERT)  # an edit alone mends nothing
    assert team.run("daily", "good")["outcome"] == "Succeeded"
    wait_for("it is over", lambda: pages("resolved"), 120, prometheus.alerts)

    wait_until_queries_have_series(prometheus, variables, wrong=False)
