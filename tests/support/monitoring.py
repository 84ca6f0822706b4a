"""The chart's alert rules rendered by helm, and a real Prometheus that evaluates them."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for
from tests.support.chart import CHART, RELEASE, Done, Object, Values, run
from tests.support.monitoring_server import LoopbackServer, MonitoringServer

CRDS = ("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule")
KINDS = ("ServiceMonitor", "PrometheusRule")


def template(monitoring: Values, *, crds: bool, release: str = RELEASE) -> Done:
    """`helm template`, with or without the Prometheus operator's CRDs in the cluster."""
    flags = [f"--api-versions={crd}" for crd in CRDS] if crds else []
    return run(
        "helm", "template", release, str(CHART), "--namespace", RELEASE, *flags, "--values", "-",
        "--set", "storePasswords=anew",
        text=json.dumps({"monitoring": monitoring, "teamNamespaces": ["reports"]}),
    )  # fmt: skip


def objects(monitoring: Values | None = None, *, crds: bool = True) -> dict[str, Object]:
    """ServiceMonitor and PrometheusRule by kind; a kind that is not rendered is missing."""
    done = template(monitoring or {}, crds=crds)
    assert done.code == 0, done.err
    found = [body for body in yaml.safe_load_all(done.out) if body and body["kind"] in KINDS]
    assert len({body["kind"] for body in found}) == len(found)
    return {body["kind"]: body for body in found}


def rules(monitoring: Values | None = None) -> Object:
    """The rule file that the Prometheus operator makes of the PrometheusRule."""
    spec: Object = objects(monitoring)["PrometheusRule"]["spec"]
    return spec


def alert_rules(monitoring: Values | None = None) -> list[Object]:
    return [
        rule for group in rules(monitoring)["groups"] for rule in group["rules"] if "alert" in rule
    ]


@dataclass
class PrometheusApi(LoopbackServer):
    """The HTTP API of a Prometheus on loopback."""

    port: int

    def alerts(self) -> list[Object]:
        """Pending and firing alerts."""
        found: list[Object] = self.get("alerts")["alerts"]
        return found

    def firing(self, name: str) -> list[Object]:
        return [
            alert
            for alert in self.alerts()
            if alert["state"] == "firing" and alert["labels"]["alertname"] == name
        ]

    def query(self, expression: str) -> list[float]:
        """The values of an instant vector."""
        found = self.get("query", query=expression)["result"]
        return [float(sample["value"][1]) for sample in found]

    def get(self, what: str, **parameters: str) -> Any:
        with self.open(f"/api/v1/{what}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]


@dataclass(kw_only=True)
class PrometheusProcess(PrometheusApi, MonitoringServer):
    """Scrapes one operator on loopback, with the intervals of the chart's ServiceMonitor."""

    directory: Path
    target: int  # the operator's metrics port
    alertmanager: int | None = None  # its port
    interval: str = "500ms"  # longer where a scrape may take that long
    name: str = "prometheus"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quick = {"scrapeInterval": self.interval, "ruleInterval": self.interval}
        made = objects(quick)
        (endpoint,) = made["ServiceMonitor"]["spec"]["endpoints"]
        job = {
            "job_name": "operator",
            "honor_labels": endpoint["honorLabels"],
            "scrape_interval": endpoint["interval"],
            "static_configs": [
                {
                    "targets": [f"127.0.0.1:{self.target}"],
                    "labels": {"namespace": RELEASE, "pod": "operator-0"},  # as the operator's
                }
            ],
        }
        config: Object = {"rule_files": ["rules.yaml"], "scrape_configs": [job]}
        if self.alertmanager is not None:
            static = {"static_configs": [{"targets": [f"127.0.0.1:{self.alertmanager}"]}]}
            config["alerting"] = {"alertmanagers": [static]}
        (self.directory / "rules.yaml").write_text(
            yaml.safe_dump(made["PrometheusRule"]["spec"], sort_keys=False)
        )
        path = self.directory / "prometheus.yaml"
        path.write_text(yaml.safe_dump(config))
        self.launch(f"--config.file={path}", f"--storage.tsdb.path={self.directory / 'tsdb'}")

    def wait_for_evaluations(self, count: int = 3) -> None:
        """Wait until the rules were evaluated this often since the call."""
        counter = "prometheus_rule_group_iterations_total"
        enough = self._own(counter) + count
        wait_for("evaluations", lambda: self._own(counter) >= enough, 60, self.log)
        assert self._own("prometheus_rule_evaluation_failures_total") == 0, self.log()

    def _own(self, metric: str) -> float:
        with self.open("/metrics") as answer:
            lines = answer.read().decode().splitlines()
        found = [float(line.split()[-1]) for line in lines if line.startswith(metric)]
        assert found, metric
        return sum(found)


def sample(port: int, name: str) -> float | None:
    """The value of one series of an operator's metrics; None without it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name]
    assert len(found) <= 1, name
    return found[0] if found else None
