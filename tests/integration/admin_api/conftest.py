"""The admin API as a process, beside a real operator and API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.admin_api import Api, ApiProcess
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from tests.support.behind import HOST, SECRET, Behind
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


@pytest.fixture
def team(namespace: Namespace) -> str:
    """A name that no other test binds rights to."""
    return namespace.name


@pytest.fixture
def behind(
    plane: ControlPlane,
    namespace: Namespace,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> Iterator[Behind]:
    mounted = tmp_path / "proxy"
    mounted.mkdir()
    (mounted / "secret").write_text(SECRET)
    operator = make_operator(
        metricsPort=free_port(), apiProxy={"secret": str(mounted), "hosts": [HOST]}
    )
    operator.start(same_lease=True)
    operator.wait_until_leading()
    process = ApiProcess(
        plane.kubeconfig, namespace.name, operator.config_file, tmp_path / "api.log", network=True
    )
    process.start()
    yield Behind(namespace, process)
    process.end()
