"""The alert's journey in a cluster as platforms have it: everything by the Prometheus operator."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import ROOT, Team, kubectl
from tests.e2e.test_services import query
from tests.support.chart import NAME, RELEASE, Object
from tests.support.dashboards import dashboards, wait_until_queries_have_series
from tests.support.docs import anchors
from tests.support.monitoring import KINDS, PrometheusApi

ALERT = "ReportSchedulerFailed"
RESOURCES = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
# hack/monitoring sets 5 s to scrape, 5 s to evaluate, 1 s of Alertmanager's wait: 11 s at most.
PAGE_SECONDS = 45.0


@pytest.fixture
def prometheus() -> Iterator[PrometheusApi]:
    port = free_port()
    command = ["kubectl", "-n", "monitoring", "port-forward", "svc/prometheus-operated"]
    with subprocess.Popen([*command, f"{port}:9090"], stdout=subprocess.DEVNULL) as forward:

        def open_() -> bool:
            assert forward.poll() is None, "kubectl port-forward ended"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            wait_for("Prometheus", open_)
            yield PrometheusApi(port)
        finally:
            forward.kill()


def pages(status: str, **labels: str) -> list[tuple[str, float, Object]]:
    """Alerts that the pager was told of: the receiver, when (seconds), and the alert."""
    lines = kubectl("-n", "monitoring", "logs", "deploy/pager").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        (item["notification"]["receiver"], item["at"], alert)
        for item in found
        for alert in item["notification"]["alerts"]
        if alert["status"] == status and labels.items() <= alert["labels"].items()
    ]


def test_monitor_and_rules_are_found_by_the_selectors(prometheus: PrometheusApi) -> None:
    for kind in KINDS:
        body = json.loads(kubectl("-n", RELEASE, "get", RESOURCES[kind], NAME, "-o", "json"))
        assert body["metadata"]["labels"]["release"] == "monitoring"

    def scraped() -> list[Object]:
        targets = prometheus.get("targets", state="active")["activeTargets"]
        pool = f"serviceMonitor/{RELEASE}/{NAME}/"
        return [t for t in targets if t["scrapePool"].startswith(pool) and t["health"] == "up"]

    (target,) = wait_for("the operator is scraped", scraped, 120)
    assert target["labels"]["service"] == f"{NAME}-metrics"
    groups = prometheus.get("rules")["groups"]
    (group,) = (group for group in groups if group["name"] == "report-scheduler")
    assert len(group["rules"]) > 25
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    managers = prometheus.get("alertmanagers")["activeAlertmanagers"]
    assert [url["url"].endswith("/api/v2/alerts") for url in managers] == [True]


def test_page_arrives_and_ends(team: Team, prometheus: PrometheusApi) -> None:
    team.copy_secret("report-db")
    team.apply("daily", tier="critical", report=query("SELECT * FROM nowhere"))
    bad = team.run("daily", "bad")
    assert bad["outcome"] == "Failed"
    ours = {"alertname": ALERT, "namespace": team.namespace}
    (receiver, at, alert), *_ = wait_for("the page", lambda: pages("firing", **ours), 120)
    seconds = at - datetime.fromisoformat(bad["finishedAt"]).timestamp()
    print(f"\nfrom the end of the run to the page: {seconds:.1f} s")
    assert seconds < PAGE_SECONDS
    assert receiver == "data-engineering"  # no route for the namespaces of tests
    assert alert["labels"]["team"] == team.namespace
    assert alert["labels"]["cause"] == "ConfigurationError"
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    anchor = said["runbook_url"].rpartition("#")[2]
    assert anchor in anchors((ROOT / "docs" / "runbook.md").read_text())
    variables = {"namespace": team.namespace, "reportschedule": "daily"}
    wait_until_queries_have_series(prometheus, variables, wrong=True)

    team.apply("daily", tier="critical", report=query("SELECT 1 AS one"))
    good = team.run("daily", "good")
    assert good["outcome"] == "Succeeded"
    (_, at, _), *_ = wait_for("it is over", lambda: pages("resolved", **ours), 120)
    seconds = at - datetime.fromisoformat(good["finishedAt"]).timestamp()
    print(f"from the end of the good run to the end of the alert: {seconds:.1f} s")
    # cAdvisor's series as well: the kubelet of the node is scraped.
    wait_until_queries_have_series(prometheus, variables, wrong=False, cadvisor=True)


def test_dashboards_are_config_maps_for_the_sidecar() -> None:
    found = json.loads(
        kubectl("-n", RELEASE, "get", "configmap", "-l", "grafana_dashboard=1", "-o", "json")
    )
    uids = {json.loads(text)["uid"] for item in found["items"] for text in item["data"].values()}
    assert uids == {item["uid"] for item in dashboards()}
