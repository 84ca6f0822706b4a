"""`python3 -m hack.monitoring`: Prometheus operator, Prometheus and Alertmanager on the cluster.

The cluster is that of `make up`, with the chart, which then has its monitoring switched on. Every
step may be repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.localcluster.cluster import cache_base
from hack.localcluster.images import static_archive
from hack.localcluster.tools import content_key
from hack.up import RELEASE, ROOT, apply, kubectl, load, log, rolled_out, run, use_cluster, wait_for

HERE = Path(__file__).resolve().parent
CACHE = cache_base(os.environ) / "monitoring"
MODULE = "github.com/prometheus-operator/prometheus-operator"
PROGRAMS = ("operator", "prometheus-config-reloader")
NAMESPACE = "monitoring"
PAGER = "http://pager.monitoring.svc"
# Set by values: who is found, and how soon; people wait longer for their pages.
VALUES = {
    "monitoring.serviceMonitorLabels.release": NAMESPACE,
    "monitoring.ruleLabels.release": NAMESPACE,
    "monitoring.dashboards.configMaps": "true",
    "monitoring.scrapeInterval": "5s",
    "monitoring.ruleInterval": "5s",
}
WAITS = {"group_wait: 30s": "group_wait: 1s", "group_interval: 5m": "group_interval: 5s"}


def operator_image() -> tuple[str, Path]:
    """Name and archive of the Prometheus operator's image; built where it is missing."""
    sources = {name: (HERE / name).read_bytes() for name in ("go.mod", "go.sum")}
    key = content_key(sources)
    name, archive = f"localhost/prometheus-operator:dev-{key}", CACHE / f"operator-{key}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts share the cache
        if archive.exists():
            return name, archive
        log("building the Prometheus operator (two minutes on two idle cores; it is kept)")
        programs = CACHE / f"bin-{key}"
        programs.mkdir(exist_ok=True)
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        targets = [f"{MODULE}/cmd/{program}" for program in PROGRAMS]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        subprocess.run(
            [*command, "-o", f"{programs}/", *targets], cwd=HERE, env=environment, check=True
        )
        # Where the Prometheus operator starts its reloader from.
        paths = {"bin/operator": PROGRAMS[0], f"bin/{PROGRAMS[1]}": PROGRAMS[1]}
        content = {path: (programs / program).read_bytes() for path, program in paths.items()}
        partial = archive.with_suffix(".partial")
        partial.write_bytes(static_archive(name, content))
        partial.rename(archive)
        shutil.rmtree(programs)
    return name, archive


def definitions() -> list[str]:
    """The CRDs of the module's version."""
    directory = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", MODULE],
        cwd=HERE, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    found = sorted(Path(directory, "example/prometheus-operator-crd").glob("*.yaml"))
    return [str(path) for path in found]


def alertmanager_config() -> str:
    """The docs' example for teams, with the pager of this cluster."""
    text = (ROOT / "docs/examples/alertmanager/teams.yaml").read_text()
    for old, new in {"http://pager.example.com": PAGER, **WAITS}.items():
        if old not in text:
            sys.exit(f"docs/examples/alertmanager/teams.yaml has no {old!r} any more")
        text = text.replace(old, new)
    return text


def install() -> None:
    operator, archive = operator_image()
    monitoring, layers = run(
        sys.executable, "-m", "hack.image", "build", "monitoring", quiet=False
    ).split()
    load([str(archive), layers])
    log("the images are on the node")
    files = [argument for path in definitions() for argument in ("-f", path)]
    kubectl("apply", "--server-side", "--force-conflicts", *files)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
    deployment = f"deployment/{RELEASE}-adaf-report-scheduler"
    runner = json.loads(kubectl("-n", RELEASE, "get", deployment, "-o", "json"))
    image = runner["spec"]["template"]["spec"]["containers"][0]["image"]
    text = (HERE / "stack.yaml").read_text()
    for placeholder, name in {
        "IMAGE-OPERATOR": operator, "IMAGE-MONITORING": monitoring, "IMAGE-RUNNER": image
    }.items():  # fmt: skip
        text = text.replace(placeholder, name)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
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
    values = [argument for pair in VALUES.items() for argument in ("--set", "=".join(pair))]
    run(
        "helm", "upgrade", RELEASE, "charts/adaf-report-scheduler", "--namespace", RELEASE,
        "--reuse-values", "--force-conflicts", *values,
    )  # fmt: skip
    log("the chart has found the Prometheus operator's CRDs, and has made its objects")
    rolled_out(NAMESPACE, "deployment/prometheus-operator", "deployment/pager")
    for kind in ("prometheus", "alertmanager"):
        name = f"statefulset/{kind}-platform"
        wait_for(
            f"{name} is made",
            lambda name=name: kubectl("-n", NAMESPACE, "get", name, "--ignore-not-found"),
            120,
        )
        rolled_out(NAMESPACE, name)
    log("Prometheus and Alertmanager run")


if __name__ == "__main__":
    use_cluster()
    install()
