"""The alert's journey in a cluster as platforms have it: everything by the Prometheus operator."""

from __future__ import annotations

import json
import socket
import subprocess
import time
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
from tests.support.monitoring import KINDS, PrometheusApi, alert_rules

ALERT = "ReportSchedulerFailed"
RESOURCES = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
SELECTORS = {"ServiceMonitor": "serviceMonitorSelector", "PrometheusRule": "ruleSelector"}
# hack/monitoring sets 5 s to scrape, 5 s to evaluate, 1 s of Alertmanager's wait (5 s to the next
# notification of a group): 15 s at most, and the operator's own. The machine may be busy.
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
    """Alerts that the pager was told of: at which path, when (seconds), and the alert."""
    lines = kubectl("-n", "monitoring", "logs", "deploy/pager").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        (item["path"], item["at"], alert)
        for item in found
        for alert in item["notification"]["alerts"]
        if alert["status"] == status and labels.items() <= alert["labels"].items()
    ]


def selected(kind: str) -> Object:
    """The labels by which the platform's Prometheus takes this kind."""
    found = json.loads(kubectl("-n", "monitoring", "get", "prometheus", "platform", "-o", "json"))
    labels: Object = found["spec"][SELECTORS[kind]]["matchLabels"]
    return labels


def test_monitor_and_rules_are_found_by_the_selectors(prometheus: PrometheusApi) -> None:
    for kind in KINDS:
        body = json.loads(kubectl("-n", RELEASE, "get", RESOURCES[kind], NAME, "-o", "json"))
        assert selected(kind).items() <= body["metadata"]["labels"].items()

    def scraped() -> list[Object]:
        targets = prometheus.get("targets", state="active")["activeTargets"]
        pool = f"serviceMonitor/{RELEASE}/{NAME}/"
        return [t for t in targets if t["scrapePool"].startswith(pool) and t["health"] == "up"]

    (target,) = wait_for("the operator is scraped", scraped, 120)
    assert target["labels"]["service"] == f"{NAME}-metrics"

    def group() -> Object | None:
        groups = prometheus.get("rules")["groups"]
        found = [group for group in groups if group["name"] == "report-scheduler"]
        return (
            found[0]
            if found and all(rule["health"] == "ok" for rule in found[0]["rules"])
            else None
        )

    rules = wait_for("every rule is evaluated without an error", group, 120)["rules"]
    alerts = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    assert alerts == {rule["alert"] for rule in alert_rules()}

    managers = prometheus.get("alertmanagers")["activeAlertmanagers"]
    assert [url["url"].endswith("/api/v2/alerts") for url in managers] == [True]


def test_page_reaches_the_team_and_ends(finance: Team, prometheus: PrometheusApi) -> None:
    start = time.time()
    finance.copy_secret("report-db")
    finance.apply("daily", tier="critical", report=query("SELECT * FROM nowhere"))
    bad = finance.run("daily", "bad")
    assert bad["outcome"] == "Failed"
    ours = {"alertname": ALERT, "namespace": finance.namespace}

    def told(status: str) -> list[tuple[str, float, Object]]:
        return [page for page in pages(status, **ours) if page[1] > start]

    (path, at, alert), *more = wait_for("the page", lambda: told("firing"), 120)
    seconds = at - datetime.fromisoformat(bad["finishedAt"]).timestamp()
    print(f"\nfrom the end of the run to the page: {seconds:.1f} s")
    assert 0 < seconds < PAGE_SECONDS
    assert (path, more) == ("/finance", [])
    assert alert["labels"]["team"] == "finance"
    assert alert["labels"]["cause"] == "ConfigurationError"
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert said["summary"] == f"Report {finance.namespace}/daily failed: ConfigurationError"
    assert f"kubectl -n {finance.namespace} describe" in said["description"]
    anchor = said["runbook_url"].rpartition("#")[2]
    assert anchor in anchors((ROOT / "docs" / "runbook.md").read_text())
    variables = {"namespace": finance.namespace, "reportschedule": "daily"}
    wait_until_queries_have_series(prometheus, variables, wrong=True)

    finance.apply("daily", tier="critical", report=query("SELECT 1 AS one"))
    good = finance.run("daily", "good")
    assert good["outcome"] == "Succeeded"
    (path, at, _), *_ = wait_for("it is over", lambda: told("resolved"), 120)
    seconds = at - datetime.fromisoformat(good["finishedAt"]).timestamp()
    print(f"from the end of the good run to the end of the alert: {seconds:.1f} s")
    assert 0 < seconds < PAGE_SECONDS
    assert path == "/finance"
    # cAdvisor's series as well: the kubelet of the node is scraped.
    wait_until_queries_have_series(prometheus, variables, wrong=False, cadvisor=True)


@pytest.mark.parametrize("resource", ["memory", "cpu"])
def test_shares_of_limits_come_from_cadvisor(prometheus: PrometheusApi, resource: str) -> None:
    """What ReportSchedulerMemoryHigh and ReportSchedulerCpuHigh go by, of operator and API."""
    name = f"namespace_pod_container:report_scheduler_{resource}_used:ratio"

    def shares() -> dict[str, float]:
        found = prometheus.get("query", query=f'{name}{{container!="report"}}')["result"]
        return {item["metric"]["container"]: float(item["value"][1]) for item in found}

    found = wait_for(name, lambda: set(both := shares()) == {"operator", "admin-api"} and both, 120)
    assert all(0 < share < 1 for share in found.values()), found


def test_dashboards_are_config_maps_for_the_sidecar() -> None:
    found = json.loads(
        kubectl("-n", RELEASE, "get", "configmap", "-l", "grafana_dashboard=1", "-o", "json")
    )
    uids = {json.loads(text)["uid"] for item in found["items"] for text in item["data"].values()}
    assert uids == {item["uid"] for item in dashboards()}
