"""The API server's side of the contract: what `kubectl apply` says, nothing being stored."""

from __future__ import annotations

from typing import Any

import pytest
from contract_corpus import Case, load

from report_operator.api.v1alpha1.resource import parse_schedule
from tests.support.apiserver import Answer, ApiServer

# A strict dry run, as `kubectl apply --dry-run=server` asks for.
PATH = (
    "/apis/reports.adaf.io/v1alpha1/namespaces/default/reportschedules"
    "?dryRun=All&fieldValidation=Strict"
)


def apply(api_server: ApiServer, case: Case) -> Answer:
    return api_server.call("POST", PATH, case.body)


def without_empty(value: Any) -> Any:
    """The same without lists and objects that have nothing in them: they mean what absence does."""
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
    assert parse_schedule(stored).spec == parse_schedule(before).spec
    wire = without_empty(parse_schedule(before).spec.to_wire())
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
