"""A control plane without a node; what needs the node has fixtures of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.testbed.controlplane import ControlPlane, control_plane
from tests.e2e.conftest import kubectl
from tests.lifecycle.release import Images, load_images, use_cluster


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One for each test: thousands of objects are deleted for a while afterwards."""
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture(scope="session")
def node() -> Images:
    """A real node without the chart; ADAF_CLUSTER says which (make test-lifecycle)."""
    use_cluster()
    deployments = kubectl("get", "deployments", "-A", "-o", "name")
    assert "adaf-report-scheduler" not in deployments, f"something is installed: {deployments}"
    return load_images()
