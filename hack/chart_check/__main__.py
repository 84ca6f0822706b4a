"""`python -m hack.chart_check`: kubeconform, kube-score and checkov over the rendered chart.

What they find is mended or explained in explained.yaml, line by line. Exit code 1 for a finding
that is not explained, and for an explanation of what is not found any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hack.chart_check import findings, schemas
from hack.image.recipe import cache_dir
from hack.localcluster.clients import clients
from hack.localcluster.cluster import this_cluster
from hack.localcluster.golang import go_command
from hack.localcluster.progress import Progress
from hack.testbed.controlplane import control_plane

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "charts" / "adaf-report-scheduler"
LOCK = ROOT / "requirements" / "chart-check.txt"
RELEASE = "report-scheduler"
GO_TOOLS = (
    "github.com/yannh/kubeconform/cmd/kubeconform",
    "github.com/zegl/kube-score/cmd/kube-score",
)
# The API server of the check does not serve these; alerts are tested with the real operator's own,
# routes with the CRDs of the Gateway API.
FOREIGN = "ServiceMonitor,PrometheusRule,HTTPRoute"
# What is there by default, and with all that can be switched on.
VALUES: dict[str, dict[str, Any]] = {
    "default": {"teamNamespaces": ["team-a"]},
    "everything": {
        "teamNamespaces": ["team-a"],
        "replicas": 2,
        "image": {"digest": f"sha256:{'0' * 64}"},
        "adminApi": {
            "network": True,
            "replicas": 2,
            "proxy": {"enabled": True, "existingSecret": "own", "hosts": ["reports.test"]},
            "tokenHosts": ["api.reports.test"],
            "ingress": {"enabled": True, "tlsSecret": "own", "tokenTlsSecret": "own"},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        },
        "output": {"fileServer": {"enabled": True}},
        "podDisruptionBudget": {"enabled": True},
        "networkPolicy": {"runEgress": {"enabled": True}, "egress": {"enabled": True}},
        "postgres": {"tls": {"existingSecret": "tls"}},
        "monitoring": {"enabled": True},
    },
    "cluster": {
        "config": {"watchAllNamespaces": True},
        "arbitraryUser": True,
        "postgres": {"existingSecret": "own"},
        "redis": {"enabled": False},
    },
}


def main() -> int:
    log = Progress()
    programs = go_tools(log)
    checkov = checkov_program(log)
    found: list[findings.Finding] = []
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        known = work / "schemas"
        known.mkdir()
        log(f"schemas of {write_schemas(work, known)} kinds from an API server")
        for name, values in VALUES.items():
            rendered = work / f"{name}.yaml"
            rendered.write_text(render(values))
            made = [
                *findings.kubeconform(
                    output(
                        programs["kubeconform"], "-strict", "-output", "json", "-skip", FOREIGN,
                        "-schema-location", f"{known}/{schemas.LOCATION}", str(rendered),
                    )
                ),
                *findings.kube_score(
                    output(programs["kube-score"], "score", "-o", "json", str(rendered))
                ),
                *findings.checkov(
                    output(
                        checkov, "-f", str(rendered), "--framework", "kubernetes", "--quiet",
                        "--compact", "-o", "json",
                    )
                ),
            ]  # fmt: skip
            objects = len([o for o in yaml.safe_load_all(rendered.read_text()) if o])
            log(f"{name}: {objects} objects, {len(made)} findings")
            found += made
    explained = findings.explanations(yaml.safe_load((HERE / "explained.yaml").read_text()))
    new, stale = findings.verdict(found, explained)
    for one in new:
        print(f"new: {one.tool} {one.check} {one.object}: {one.words}")
    for item in stale:
        print(f"stale: {item.tool} {item.check} {item.objects[0]} is not found any more")
    print(f"{len(set(found))} findings, {len(new)} not explained; {len(stale)} stale explanations")
    return 1 if new or stale else 0


def output(program: str | Path, *arguments: str) -> str:
    """A checker's standard output; that it found something is no error of it."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        sys.exit(f"{program} says nothing: {done.stderr.strip()}")
    return done.stdout


def render(values: dict[str, Any]) -> str:
    helm = clients(this_cluster(os.environ), Progress()) / "helm"
    return subprocess.run(
        [helm, "template", RELEASE, CHART, "--namespace", RELEASE, "--values", "-",
         "--set", "storePasswords=anew"],
        input=json.dumps(values), text=True, capture_output=True, check=True,
    ).stdout  # fmt: skip


def write_schemas(work: Path, known: Path) -> int:
    (work / "plane").mkdir()
    with control_plane(work / "plane") as plane:
        return schemas.write(plane.api, known)


def go_tools(log: Progress) -> dict[str, Path]:
    """Built once for each state of go.sum."""
    source = HERE / "tools"
    key = hashlib.sha256((source / "go.sum").read_bytes()).hexdigest()[:12]
    directory = cache_dir() / "chart-check" / f"go-{key}"
    directory.mkdir(parents=True, exist_ok=True)
    for package in GO_TOOLS:
        if not (directory / package.rpartition("/")[2]).exists():
            log(f"building {package}")
            build = [go_command(), "build", "-p", "1", "-o", f"{directory}/", package]
            subprocess.run(build, cwd=source, check=True)
    return {path.name: path for path in directory.iterdir()}


def checkov_program(log: Progress) -> Path:
    """In a virtual environment of its own: it pins what the project uses otherwise."""
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    venv = cache_dir() / "chart-check" / f"checkov-{key}"
    if not (venv / "bin" / "checkov").exists():
        log("installing checkov")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        uv = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*uv, "--python", venv / "bin" / "python", "-r", LOCK], check=True)
    return venv / "bin" / "checkov"


if __name__ == "__main__":
    sys.exit(main())
