"""The real API server of the cluster in which the chart is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest

from hack.testbed.waiting import wait_for
from tests.support.chart import ROOT, run


@pytest.fixture(scope="session")
def kubectl() -> Callable[..., str]:
    """`kubectl` with the cluster's kubeconfig; its output, with errors where asked for."""
    if "KUBECONFIG" not in os.environ:
        asked = subprocess.run(
            [sys.executable, "hack/localcluster", "kubeconfig"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert asked.returncode == 0, f"these tests need the cluster (make up): {asked.stderr}"
        os.environ["KUBECONFIG"] = asked.stdout.strip()

    def call(*arguments: str, text: str | None = None, check: bool = True) -> str:
        done = run("kubectl", *arguments, text=text)
        assert not check or done.code == 0, f"kubectl {' '.join(arguments)}: {done.err}"
        return done.out if check else done.out + done.err

    return call


@pytest.fixture(scope="module")
def namespace(kubectl: Callable[..., str]) -> Iterator[str]:
    """A namespace under the strictest pod security, deleted afterwards."""
    name = f"chart-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        wait_for(
            "the namespace is ready for pods",
            lambda: "default" in kubectl("-n", name, "get", "serviceaccounts", "-o", "name"),
            30,
        )
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
