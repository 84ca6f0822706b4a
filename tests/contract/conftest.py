"""A real API server that serves the CRDs of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hack.testbed.apiserver import ApiServer

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))


def _kubeconfig() -> Path:
    named = os.environ.get("KUBECONFIG")
    if named:
        return Path(named)
    asked = subprocess.run(
        [sys.executable, "hack/localcluster", "kubeconfig"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    path = Path(asked.stdout.strip() or "/nonexistent")
    if asked.returncode or not path.exists():
        pytest.fail(
            "these tests need a real API server: `make up-cluster` starts one, or name another "
            f"cluster's kubeconfig in KUBECONFIG ({asked.stderr.strip() or 'none is running'})"
        )
    return path


@pytest.fixture(scope="session")
def api_server() -> ApiServer:
    server = ApiServer(_kubeconfig())
    for path in CRDS:
        server.serve(yaml.safe_load(path.read_text()))
    return server
