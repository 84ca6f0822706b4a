"""The operator's side of the contract: models and schedule dialect."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contract_corpus import BACKFILLS, ONLY_API_SERVER, SCHEDULES, Case, load

from report_operator.api.v1alpha1.backfill import parse_backfill_spec
from report_operator.api.v1alpha1.resource import ReportSchedule, SpecError, parse_schedule
from report_operator.domain.admission.limits import NamespacePolicy
from report_operator.domain.checks import first_problem
from report_operator.domain.schedules.validation import SYNTAX_CHECKS, SpecObservation

SERVER_SIDE = {"namespace": "reports", "uid": "a-uid", "generation": 1}


def operator_says(case: Case) -> str:
    """The operator's error message; empty for a valid manifest."""
    body = {**case.body, "metadata": {**case.body["metadata"], **SERVER_SIDE}}
    try:
        if case.of == BACKFILLS:
            parse_backfill_spec(body)
            return ""
        schedule = parse_schedule(body)
    except SpecError as error:
        return str(error)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    observation = SpecObservation("", schedule.spec, now, lambda _: True, NamespacePolicy())
    problem = first_problem(SYNTAX_CHECKS, observation)
    return problem.message if problem else ""


def test_corpus_is_complete():
    assert len(load("good", SCHEDULES)) >= 30
    assert len(load("bad", SCHEDULES)) >= 60
    assert len(load("later", SCHEDULES)) >= 3
    assert len(load("good", BACKFILLS)) >= 20
    assert len(load("bad", BACKFILLS)) >= 40


@pytest.mark.parametrize("case", load("good"), ids=str)
def test_accepts(case):
    assert operator_says(case) == ""


@pytest.mark.parametrize("case", [*load("bad"), *load("later")], ids=str)
def test_refuses_with_path_and_remedy(case):
    assert case.model, "the header says `# model: ...`"
    if case.model == ONLY_API_SERVER:
        assert operator_says(case) == ""
        return
    message = operator_says(case)
    assert case.model in message
    assert message.startswith(("spec.", "spec: "))


def test_names_every_problem_of_a_manifest_at_once():
    case = load("good", SCHEDULES)[0]
    spec = {**case.body["spec"], "tier": "gold", "suspend": "no", "retries": 3}
    message = operator_says(Case("", SCHEDULES, {**case.body, "spec": spec}, "", ""))
    assert "spec.tier: 'gold' is not one of 'critical', 'standard' or 'bulk'" in message
    assert "spec.suspend: 'no' has to be true or false" in message
    assert "spec.retries: no such field: did you mean retry?" in message


def test_null_in_a_row_is_kept():
    case = next(c for c in load("good") if c.name == "source-with-null-value")
    body = {**case.body, "metadata": {**case.body["metadata"], **SERVER_SIDE}}
    schedule: ReportSchedule = parse_schedule(body)
    assert schedule.spec.report.sources[0].inline.rows == [{"symbol": "ACME", "value": None}]
    assert schedule.spec.to_wire()["report"]["sources"][0]["inline"]["rows"] == [
        {"symbol": "ACME", "value": None}
    ]
