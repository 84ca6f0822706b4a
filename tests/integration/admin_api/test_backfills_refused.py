"""A backfill over several namespaces of which one takes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.admin_api import Api, ApiProcess
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.namespace import CORE, Namespace
from hack.testbed.operator import OperatorProcess
from tests.integration.admin_api.test_backfills_api import PATH, RUNBOOK
from tests.support.cli import Cli


@pytest.fixture
def two_teams(
    plane: ControlPlane,
    namespace: Namespace,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> Iterator[tuple[Namespace, Api]]:
    """A namespace that comes before the other one, with a schedule, and an API of both."""
    first = Namespace(plane, f"a-{namespace.name}")
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": first.name}})
    operator = make_operator(watchNamespaces=[first.name, namespace.name], metricsPort=free_port())
    operator.start(same_lease=True)
    operator.wait_until_leading()
    for team, name in ((first, "risk"), (namespace, "dashboard")):
        team.apply(name, reportType=f"type_{name}", tier="critical", schedule="0 6 * * *")
        team.wait_until_observed(name)
    process = ApiProcess(plane.kubeconfig, namespace.name, operator.config_file, tmp_path / "log")
    process.start()
    yield first, process.api
    process.end()


def test_namespace_that_is_being_deleted_keeps_no_other_from_its_backfill(
    two_teams: tuple[Namespace, Api], namespace: Namespace
) -> None:
    first, api = two_teams
    cli = Cli(f"http://localhost:{api.port}")
    # No controller of namespaces is here: the deletion goes on for as long as the test.
    first.call("DELETE", f"{CORE}/namespaces/{first.name}")

    answer = api.call("POST", PATH, RUNBOOK)

    assert answer.status == 202, answer.text
    assert [made["namespace"] for made in answer.body["backfills"]] == [namespace.name]
    (refused,) = answer.body["refused"]
    assert refused["namespace"] == first.name
    assert "is being deleted" in refused["reason"]
    done = cli("backfill", RUNBOOK["start_date"], RUNBOOK["end_date"], "critical")
    assert done.code == 1
    assert f"no backfill in {first.name}: " in done.err
    assert answer.body["backfills"][0]["name"] in done.out

    alone = api.call("POST", PATH, {**RUNBOOK, "report_types": ["type_risk"]})
    assert alone.status == 403
    assert "is being deleted" in alone.text
