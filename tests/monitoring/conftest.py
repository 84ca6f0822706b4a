"""The cluster of `make up`, with what `python3 -m hack.monitoring` installs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team, installed, kubectl

__all__ = ["installed"]
NAMESPACE = "finance-reports"  # of the team finance, by the values of hack/monitoring


@pytest.fixture
def finance() -> Iterator[Team]:
    """A namespace of a team that has a route of its own."""
    team = Team(NAMESPACE)
    _delete()  # what a run that was stopped left
    kubectl("create", "namespace", NAMESPACE)
    team.make_volume()
    yield team
    _delete()


def _delete() -> None:
    kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")
    wait_for(
        f"{NAMESPACE} is gone",
        lambda: not kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"),
        180,
    )
