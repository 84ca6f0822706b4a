"""The Helm chart rendered by `helm`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from report_operator.config import OperatorConfig, load_config

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "adaf-report-scheduler"
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
RELEASE = "report-scheduler"
NAME = f"{RELEASE}-{CHART.name}"  # of the operator's objects
API = f"{NAME}-api"  # of the admin API's
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is there
Object = dict[str, Any]
Values = dict[str, Any]

# Everything that can be set, and text that YAML would take for something else.
FULL: Values = {
    "image": {"repository": "registry.test/reports", "tag": "1.10", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "replicas": 2,
    "teamNamespaces": ["team-a", "2024"],
    "output": {"claimName": "1e3", "storageClassName": "7", "accessModes": ["ReadWriteMany"]},
    "config": {
        "allowedSecrets": ["*-db", "2024"],
        "admission": {
            "maxActive": 7,
            "backfillHeadroom": 2,
            "maxActivePerTier": {"bulk": 0},
            "maxActivePerNamespace": 3,
            "highestTier": "standard",
            "highestPriority": "normal",
            "namespaces": {"2024": {"maxActive": 5, "highestTier": "critical"}},
            "startGraceSeconds": 30,
        },
        "queueTimeoutSeconds": 10_000_000,
        "runner": {
            "defaultResources": {
                "requests": {"cpu": 1, "memory": "1Gi"},
                "limits": {"memory": "2Gi"},
            },
            "scratchSizeLimit": "1Gi",
        },
    },
    "serviceAccount": {"annotations": {"a": "b"}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "podAnnotations": {"a": "b"},
    "podDisruptionBudget": {"enabled": True},
    "postgres": {
        "image": {"repository": "registry.test/postgres", "tag": "17"},
        "storageClassName": "7",
        "size": "1Ti",
    },
    "redis": {"existingSecret": "1e3", "maxMemory": "1gb"},
}
# Two namespaces, and nothing that can be left out.
SMALL: Values = {
    "crds": {"install": False},
    "secretAccessPolicy": {"enabled": False},
    "boundsPolicy": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "config": {"watchNamespaces": ["team-a", "2024"]},
    "teamNamespaces": ["team-a"],
    "output": {"createClaims": False},
    "postgres": {"enabled": False},
    "redis": {"enabled": False},
}
VALUES: dict[str, Values] = {
    "cluster": {"config": {"watchAllNamespaces": True}},
    "team": {"teamNamespaces": ["reports"]},
    "full": FULL,
    "small": SMALL,
}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def run(*command: str, text: str | None = None) -> Done:
    """Run one of the clients that `hack/localcluster env` puts on PATH."""
    assert shutil.which(command[0]), (
        f'no `{command[0]}` on PATH: run eval "$(python3 hack/localcluster env)" after `make up`'
    )
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def helm_at(kubeconfig: Path, *arguments: str, values: Values | None = None) -> str:
    """The output of `helm`, which works on the release at this API server."""
    with_values = [] if values is None else ["--values", "-"]
    done = run(
        "helm", *arguments, "--kubeconfig", str(kubeconfig), "--namespace", RELEASE,
        *with_values, text=None if values is None else json.dumps(values),
    )  # fmt: skip
    assert done.code == 0, done.err
    return done.out


def with_namespace(values: Values) -> Values:
    """The values, with a team namespace where they do not say what is to be watched."""
    config = values.get("config")
    says = isinstance(config, dict) and {"watchNamespaces", "watchAllNamespaces"} & set(config)
    return values if says else {"teamNamespaces": ["reports"], **values}


def helm_template(
    values: Values,
    release: str = RELEASE,
    namespace: str = RELEASE,
    chart: Path = CHART,
    flags: Sequence[str] = (),
) -> Done:
    return run(
        "helm", "template", release, str(chart), "--namespace", namespace, "--values", "-", *flags,
        *(() if "storePasswords" in values else ("--set", "storePasswords=anew")),
        text=json.dumps(values),  # Go reads 1e3 otherwise than PyYAML writes it
    )  # fmt: skip


def render(
    values: Values, release: str = RELEASE, namespace: str = RELEASE, chart: Path = CHART
) -> list[Object]:
    """What an installation makes, without the hooks of `helm test`."""
    return [o for o in everything(values, release, namespace, chart) if not _is_hook(o)]


def everything(
    values: Values,
    release: str = RELEASE,
    namespace: str = RELEASE,
    chart: Path = CHART,
    flags: Sequence[str] = (),
) -> list[Object]:
    done = helm_template(with_namespace(values), release, namespace, chart, flags)
    assert done.code == 0, done.err
    return [found for found in yaml.load_all(done.out, Loader=LOADER) if found]


def _is_hook(found: Object) -> bool:
    return "helm.sh/hook" in found["metadata"].get("annotations", {})


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [found for found in objects if found["kind"] in kinds]


def the(objects: list[Object], kind: str) -> Object:
    (found,) = of_kind(objects, kind)
    return found


def operators(objects: list[Object], kind: str = "Deployment") -> Object:
    return named(objects, kind, NAME)


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (o for o in of_kind(objects, kind) if o["metadata"]["name"] == name)
    return found


def config_of(objects: list[Object], directory: Path) -> OperatorConfig:
    """The operator's configuration, parsed by the operator's own code."""
    path = directory / "config.yaml"
    path.write_text(named(objects, "ConfigMap", NAME)["data"]["config.yaml"])
    return load_config(path)
