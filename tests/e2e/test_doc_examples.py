"""The manifests of README and docs, as they are written, on the demo's database and mail server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack.examples import EXAMPLES
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team
from tests.support.examples import BACKFILL, SCHEDULE, Example, examples

# The demo's own are run by `make up`, and those of `make examples` by test_examples.py.
SCHEDULES = [
    example
    for example in examples(SCHEDULE)
    if not example.file.startswith("hack/") and example.name not in EXAMPLES
]
BACKFILLS = examples(BACKFILL)


def apply(team: Team, example: Example, **spec: Any) -> None:
    """With the objects beside it, and the Secrets of the demo."""
    for secret in ("report-db", "report-smtp"):
        team.copy_secret(secret)
    for sibling in example.siblings:
        if sibling["kind"] == "ConfigMap":
            metadata = {**sibling["metadata"], "namespace": team.namespace}
            team.apply_manifest({**sibling, "metadata": metadata})
    body = example.in_namespace(team.namespace)
    team.apply_manifest({**body, "spec": {**body["spec"], **spec}})
    team.wait_until_observed(example.name)


@pytest.mark.parametrize("example", SCHEDULES, ids=str)
def test_schedule_of_the_docs_makes_and_mails_its_report(example: Example, team: Team) -> None:
    apply(team, example)
    run = team.run(example.name)
    assert run["outcome"] == "Succeeded", run
    formats = example.body["spec"]["report"]["formats"]
    assert sorted(path.rpartition(".")[2] for path in run["outputs"]) == sorted(formats)
    assert set(run["outputs"]) <= set(team.files())


@pytest.mark.parametrize("example", BACKFILLS, ids=str)
def test_backfill_of_the_docs_runs_every_slot(example: Example, team: Team) -> None:
    """The README's schedule, as a critical one, which the backfill selects."""
    apply(team, SCHEDULES[0], tier="critical")
    team.apply_manifest(example.in_namespace(team.namespace))

    def status() -> dict[str, Any]:
        text = team.kubectl("get", "reportbackfill", example.name, "-o", "json")
        found: dict[str, Any] = json.loads(text).get("status", {})
        return found

    def complete() -> dict[str, Any] | None:
        conditions = status().get("conditions", ())
        return next(
            (c for c in conditions if c["type"] == "Complete" and c["status"] == "True"), None
        )

    condition = wait_for(f"{example} is complete", complete, 420, status)
    assert condition is not None
    assert condition["reason"] == "AllSucceeded", status()
    assert status()["progress"] == "5/5"  # the working days from 2 to 6 November 2026
