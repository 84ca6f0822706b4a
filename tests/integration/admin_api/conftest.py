"""The admin API as a process, beside a real operator and API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.admin_api import Api, ApiProcess
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from tests.support.cli import Cli


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """A leading operator, whose Lease the API reads."""
    made = make_operator(admission={"maxActive": 1}, metricsPort=free_port())
    made.start(same_lease=True)
    made.wait_until_leading()
    return made


@pytest.fixture
def api_process(
    plane: ControlPlane, namespace: Namespace, operator: OperatorProcess, tmp_path: Path
) -> Iterator[ApiProcess]:
    made = ApiProcess(plane.kubeconfig, namespace.name, operator.config_file, tmp_path / "api.log")
    made.start()
    yield made
    made.end()


@pytest.fixture
def api(api_process: ApiProcess) -> Api:
    return api_process.api


@pytest.fixture
def cli(api: Api) -> Cli:
    """`report-scheduler` with this API."""
    return Cli(f"http://localhost:{api.port}")
