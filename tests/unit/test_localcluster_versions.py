"""hack/node/go.mod, what is downloaded beside it, and the texts name one version of Kubernetes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hack.localcluster import versions
from hack.localcluster.versions import GO, GO_MOD, KUBERNETES, parse_go, parse_kubernetes

ROOT = Path(__file__).resolve().parents[2]
CRONTABLE = ROOT / "hack" / "crontable"
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "hack/**/*.md", "hack/**/*.py", "tests/**/*.py")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"  # it says what was
)
# "Kubernetes 1.36", "Kubernetes v1.36.3"; not "1.33 or newer", which is the chart's own statement.
SAID = re.compile(r"Kubernetes\s+v?(\d+\.\d+(?:\.\d+)?)\b(?!\s+(?:or|and)\s+newer)")
STAGING = re.compile(r"^\s*(?:k8s\.io/[\w-]+ => )?(k8s\.io/[\w-]+) v(\d+)\.(\d+)\.(\d+)\b", re.M)
# Modules of the organisation that have releases of their own.
INDEPENDENT = {
    *("k8s.io/klog", "k8s.io/utils", "k8s.io/gengo", "k8s.io/kube-openapi"),
    "k8s.io/system-validators",
}


def required(go_mod: Path, module: str) -> str:
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod.read_text(), re.M)
    assert found, f"{go_mod}: no {module}"
    return found[1]


def test_every_module_of_kubernetes_is_of_the_same_release() -> None:
    found = {
        module: (int(major), int(minor), int(patch))
        for module, major, minor, patch in STAGING.findall(GO_MOD.read_text())
        if module not in INDEPENDENT
    }
    assert len(found) > 20
    assert found.pop("k8s.io/kubernetes") == KUBERNETES
    # Its libraries are published as v0.MINOR.PATCH.
    assert {m: v for m, v in found.items() if v != (0, KUBERNETES.minor, KUBERNETES.patch)} == {}


def test_downloads_are_of_the_same_minor_version() -> None:
    minor = f"{KUBERNETES.major}.{KUBERNETES.minor}"
    assert f"-kubectl-v{KUBERNETES.minor}==" in versions.CLIENTS_WHEEL
    assert versions.KIND_IMAGE.startswith(f"kindest/node:v{minor}.")
    assert re.search(r"@sha256:[0-9a-f]{64}$", versions.KIND_IMAGE)


def test_chart_allows_the_version() -> None:
    chart = (ROOT / "charts" / "adaf-report-scheduler" / "Chart.yaml").read_text()
    least = re.search(r'^kubeVersion: ">=(\d+)\.(\d+)\.0-0"$', chart, re.M)
    assert least
    assert (int(least[1]), int(least[2])) <= (KUBERNETES.major, KUBERNETES.minor)


def test_docs_and_comments_name_the_same_version() -> None:
    allowed = {str(KUBERNETES)[1:], f"{KUBERNETES.major}.{KUBERNETES.minor}"}
    other = Path(__file__)
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in TEXTS
        if path != other
        for found in SAID.findall(path.read_text())
        if found not in allowed
    ]
    assert wrong == []


def test_other_version_in_a_text_is_found() -> None:
    assert SAID.findall("as Kubernetes v1.35.1 does, and Kubernetes\n1.34") == ["1.35.1", "1.34"]
    assert SAID.findall("Kubernetes 1.33 or newer") == []


def test_truth_table_is_made_with_the_nodes_library() -> None:
    library = "github.com/robfig/cron/v3"
    table = (ROOT / "tests" / "data" / "cron" / "truth.jsonl").read_text()
    version = required(GO_MOD, library)
    assert required(CRONTABLE / "go.mod", library) == version
    assert json.loads(table.partition("\n")[0])["robfig"] == version
    assert parse_go((CRONTABLE / "go.mod").read_text()) == GO


@pytest.mark.parametrize(
    "text", ["", "require k8s.io/api v0.36.3", "k8s.io/kubernetes v1.36.0-rc.1"]
)
def test_go_mod_without_a_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="requires no release"):
        parse_kubernetes(text)
