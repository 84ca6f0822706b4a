"""A real control plane, operators of this checkout, and a proxy that causes faults."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.controlplane import ControlPlane, control_plane
from hack.testbed.namespace import CORE, Namespace
from hack.testbed.operator import OperatorProcess
from tests.support.proxy import Proxy


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[Namespace]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
    yield Namespace(plane, name)
    plane.api.call("DELETE", f"{CORE}/namespaces/{name}")


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[Proxy]:
    made = Proxy(plane.kubeconfig)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def make_operator(
    tmp_path: Path, proxy: Proxy, namespace: Namespace
) -> Iterator[Callable[..., OperatorProcess]]:
    """Creates operators for the namespace without starting them; all are killed after the test."""
    made: list[OperatorProcess] = []

    def make(**settings: Any) -> OperatorProcess:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")
        made.append(OperatorProcess(tmp_path, kubeconfig, namespace.name, settings))
        return made[-1]

    yield make
    for operator in made:
        operator.end()


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """A leading operator."""
    made = make_operator()
    made.start()
    made.wait_until_leading()
    return made
