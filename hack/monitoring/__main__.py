"""`python3 -m hack.monitoring`: Prometheus operator, Prometheus and Alertmanager on the cluster.

The cluster is that of `make up`, with the chart, which then has its monitoring switched on. Every
step may be repeated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hack.image.programs import module_directory
from hack.steps import (
    RELEASE,
    ROOT,
    apply,
    built_image,
    doing,
    kubectl,
    log,
    rolled_out,
    run,
    use_cluster,
    wait_for,
)
from hack.up import load

HERE = Path(__file__).resolve().parent
MODULE = "github.com/prometheus-operator/prometheus-operator"
NAMESPACE = "monitoring"
PAGER = "http://pager.monitoring.svc"
# Set by values: who is found, and how soon; people wait longer for their pages.
VALUES = {
    "monitoring.serviceMonitorLabels.release": NAMESPACE,
    "monitoring.ruleLabels.release": NAMESPACE,
    "monitoring.dashboards.configMaps": "true",
    "monitoring.scrapeInterval": "5s",
    "monitoring.ruleInterval": "5s",
    # A namespace of tests whose team has a route of its own in the docs' example.
    "config.teams.finance-reports.team": "finance",
}
WAITS = {"group_wait: 30s": "group_wait: 1s", "group_interval: 5m": "group_interval: 5s"}


def definitions() -> list[str]:
    """The CRDs of the module's version."""
    directory = module_directory(HERE, MODULE) / "example" / "prometheus-operator-crd"
    return [str(path) for path in sorted(directory.glob("*.yaml"))]


def alertmanager_config() -> str:
    """The docs' example for teams, with the pager of this cluster."""
    text = (ROOT / "docs/examples/alertmanager/teams.yaml").read_text()
    for old, new in {"http://pager.example.com": PAGER, **WAITS}.items():
        if old not in text:
            sys.exit(f"docs/examples/alertmanager/teams.yaml has no {old!r} any more")
        text = text.replace(old, new)
    return text


def stack(monitoring: str) -> str:
    """The manifests, with this image; the pager runs in the operator's, which has Python."""
    deployment = f"deployment/{RELEASE}-adaf-report-scheduler"
    body = json.loads(kubectl("-n", RELEASE, "get", deployment, "-o", "json"))
    runner = body["spec"]["template"]["spec"]["containers"][0]["image"]
    text = (HERE / "stack.yaml").read_text()
    return text.replace("IMAGE-MONITORING", monitoring).replace("IMAGE-RUNNER", runner)


def install_operator(monitoring: str) -> None:
    files = [argument for path in definitions() for argument in ("-f", path)]
    kubectl("apply", "--server-side", "--force-conflicts", *files)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=stack(monitoring))
    metadata = {"namespace": NAMESPACE}
    apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**metadata, "name": "alertmanager"},
            "stringData": {"alertmanager.yaml": alertmanager_config()},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "name": "pager"},
            "data": {"pager.py": (HERE / "pager.py").read_text()},
        },
    )


def switch_on() -> None:
    """The chart finds the Prometheus operator's CRDs, and makes its objects."""
    values = [argument for pair in VALUES.items() for argument in ("--set", "=".join(pair))]
    run(
        "helm", "upgrade", RELEASE, "charts/adaf-report-scheduler", "--namespace", RELEASE,
        "--reuse-values", "--force-conflicts", *values,
    )  # fmt: skip
    rolled_out(RELEASE, f"deployment/{RELEASE}-adaf-report-scheduler")


def wait_until_it_runs() -> None:
    rolled_out(NAMESPACE, "deployment/prometheus-operator", "deployment/pager")
    for kind in ("prometheus", "alertmanager"):
        name = f"statefulset/{kind}-platform"
        get = ("-n", NAMESPACE, "get", name, "--ignore-not-found")
        wait_for(f"{name} is made", lambda get=get: kubectl(*get), 120)
        rolled_out(NAMESPACE, name)


def main() -> None:
    use_cluster()
    monitoring, loadable = built_image("monitoring")
    load([loadable])
    log("the image is on the node")
    with doing("installing the Prometheus operator"):
        install_operator(monitoring)
    with doing("switching the chart's monitoring on"):
        switch_on()
    with doing("waiting for Prometheus and Alertmanager, which the operator makes"):
        wait_until_it_runs()
    log("Prometheus and Alertmanager run")


if __name__ == "__main__":
    main()
