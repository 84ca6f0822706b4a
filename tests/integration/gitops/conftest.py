"""The real kubectl and helm, with the kubeconfig of the control plane."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.localcluster.clients import clients
from hack.localcluster.cluster import this_cluster
from hack.localcluster.progress import Progress
from hack.testbed.namespace import Namespace

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(namespace: Namespace) -> Run:
    """`run("kubectl", …)` in the namespace; it may fail."""
    programs: Path = clients(this_cluster(os.environ), Progress())

    def run_program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [programs / name, "--namespace", namespace.name, *arguments],
            env={**os.environ, "KUBECONFIG": str(namespace.plane.kubeconfig)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run_program
