"""The preview's side of the contract: it accepts and refuses what the cluster does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from contract_corpus import SCHEDULES, Case, load

from report_runner.preview import problems
from report_runner.preview.documents import read_documents
from report_runner.preview.schema import load_schema

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
CORPUS = Path(__file__).parent / SCHEDULES


def rules(node: Any) -> Iterator[dict[str, str]]:
    """Every rule in CEL of a schema."""
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for child in node.values():
            yield from rules(child)
    elif isinstance(node, list):
        for child in node:
            yield from rules(child)


MESSAGES = {rule["message"] for rule in rules(load_schema())}


def preview_says(kind: str, case: Case) -> list[tuple[str, str]]:
    (document,) = read_documents(CORPUS / kind / f"{case.name}.yaml")
    assert document.body == case.body, "the preview's YAML and the corpus's are read alike"
    return problems(document.body, NOW)


@pytest.mark.parametrize("case", load("good", SCHEDULES), ids=str)
def test_accepts(case: Case) -> None:
    assert preview_says("good", case) == []


@pytest.mark.parametrize("case", load("later", SCHEDULES), ids=str)
def test_refuses_what_the_operator_refuses(case: Case) -> None:
    ((field, message),) = preview_says("later", case)
    # The operator quotes the value between field and problem.
    assert case.model.rpartition(": ")[2] in f"{field}: {message}"
    assert field.startswith("spec.")


@pytest.mark.parametrize("case", load("bad", SCHEDULES), ids=str)
def test_refuses_with_the_message_of_the_api_server(case: Case) -> None:
    found = preview_says("bad", case)
    assert found
    found = [(unnamed(field), message) for field, message in found]
    told = "\n".join(f"{field}: {message}" for field, message in found)
    of_a_rule = [message for message in MESSAGES if message.startswith(case.error)]
    if of_a_rule:
        assert any(message in told for message in of_a_rule)
    elif case.error.startswith("unknown field"):
        name = case.error.split('"')[1]
        assert (unnamed(name), "unknown field") in [(field, text[:13]) for field, text in found]
    elif not case.error.startswith(("unknown time zone", "value.")):
        field = unnamed(re.split(": | in body", case.error)[0])
        assert field in told or f"{field.rpartition('.')[2]} is missing" in told


def unnamed(field: str) -> str:
    """The API server counts elements, the preview names them: `sources[0]`, `sources[rows]`."""
    return re.sub(r"\[[^]]*\]", "[]", field)


def test_every_rule_of_the_schema_has_a_case_that_it_refuses() -> None:
    """A rule without one could be missing in the preview, and nobody would see it."""
    told = "\n".join(
        message for case in load("bad", SCHEDULES) for _, message in problems(case.body, NOW)
    )
    assert {message for message in MESSAGES if message not in told} == set()


@pytest.mark.parametrize("schedule", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *"])
def test_a_schedule_that_never_fires_is_refused(schedule: str) -> None:
    body = load("good", SCHEDULES)[0].body
    spec = {**body["spec"], "schedule": schedule}
    ((field, message),) = problems({**body, "spec": spec}, NOW)
    assert field == "spec.schedule"
    assert re.search("has no slot within five years", message)
