"""The API server's side of the contract, by dry runs of `kubectl apply`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from contract_corpus import BACKFILLS, SCHEDULES, Case, load

from hack.testbed.apiserver import Answer, ApiServer
from report_operator.api.v1alpha1.backfill import parse_backfill_spec
from report_operator.api.v1alpha1.resource import parse_schedule

PATH = "/apis/reports.adaf.io/v1alpha1/namespaces/default"
STRICT = "?dryRun=All&fieldValidation=Strict"  # as `kubectl apply --dry-run=server` asks for
PLURALS = {SCHEDULES: "reportschedules", BACKFILLS: "reportbackfills"}


def apply(api_server: ApiServer, case: Case) -> Answer:
    return api_server.call("POST", f"{PATH}/{PLURALS[case.of]}{STRICT}", case.body)


def spec_of(case: Case, body: dict[str, Any]) -> Any:
    return parse_backfill_spec(body) if case.of == BACKFILLS else parse_schedule(body).spec


def without_empty(value: Any) -> Any:
    """The same without empty lists and objects, which mean the same as absent ones."""
    if isinstance(value, dict):
        slim = {key: without_empty(child) for key, child in value.items()}
        return {key: child for key, child in slim.items() if child not in ({}, [])}
    return [without_empty(child) for child in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", [*load("good"), *load("later")], ids=str)
def test_accepts(api_server, case):
    answer = apply(api_server, case)
    assert answer.code == 201, answer.message


@pytest.mark.parametrize("case", load("good"), ids=str)
def test_sets_the_defaults_that_the_models_have(api_server, case):
    stored = apply(api_server, case).body
    before = {**stored, "spec": case.body["spec"]}
    assert spec_of(case, stored) == spec_of(case, before)
    wire = without_empty(spec_of(case, before).to_wire())
    written = without_empty(stored["spec"])
    for kind in ("requests", "limits"):  # numbers stay numbers in the API server
        amounts = written.get("resources", {}).get(kind, {})
        amounts.update({name: str(amount) for name, amount in amounts.items()})
    assert written == wire


@pytest.mark.parametrize("case", load("bad"), ids=str)
def test_refuses(api_server, case):
    assert case.error, "the header says `# error: ...`"
    answer = apply(api_server, case)
    assert answer.code in (400, 422), answer.body
    assert case.error in answer.message


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"suspend": True, "maxConcurrent": 5}, None),
        ({"endDate": "2026-11-05"}, "endDate cannot be changed"),
        ({"reprocess": "all"}, "reprocess cannot be changed"),
        ({"dryRun": True}, "dryRun cannot be changed"),
        ({"tiers": ["bulk"]}, "tiers cannot be changed"),
        ({"reportTypes": ["dashboard"]}, "reportTypes cannot be changed"),
        ({"selector": {"matchLabels": {"team": "risk"}}}, "selector cannot be changed"),
    ],
)
def test_backfill_selection_cannot_be_changed(api_server, change, refused):
    case = next(c for c in load("good", BACKFILLS) if c.name == "one-tier")
    name = f"unchangeable-{uuid.uuid4().hex[:8]}"
    body = {**case.body, "metadata": {"name": name}}
    path = f"{PATH}/reportbackfills"
    assert api_server.call("POST", path, body).code == 201
    try:
        patch = "application/merge-patch+json"
        answer = api_server.call("PATCH", f"{path}/{name}", {"spec": change}, patch)
        assert (refused or "") in answer.message
        assert answer.code == (422 if refused else 200)
    finally:
        api_server.call("DELETE", f"{path}/{name}")
