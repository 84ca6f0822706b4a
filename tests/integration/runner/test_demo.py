"""The demo's database, as its pod loads it, has the rows that the schedules of the docs query."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import PASSWORD, write_secret

from hack.testbed.postgres import HOST, PostgresServer, postgres_server
from hack.up import market_data
from report_operator.api.v1alpha1.resource import parse_schedule
from report_operator.domain.schedules.desired import freeze_definition
from report_runner.contract import pod as podcontract
from report_runner.contract.result import Outcome
from tests.support.examples import SCHEDULE, Example, examples
from tests.support.runner import Pod

# Fail on purpose, with this in the message.
FAILING = {
    "broken-on-purpose": "a_table_that_is_not_there",
    "price-jumps": "8 rows break it",
}
# What else is read from needs the servers of `make examples`: tests/e2e/test_examples.py.
READABLE = {"postgres", "inline", "query"}
EXAMPLES = [
    example
    for example in examples(SCHEDULE)
    if all(READABLE & set(source) for source in example.body["spec"]["report"]["sources"])
]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    directory = tmp_path_factory.mktemp("demo")
    for name, text in market_data()["data"].items():
        (directory / name).write_text(text.replace("/etc/demo", str(directory)))
    with postgres_server() as server:
        subprocess.run(
            ["psql", "--quiet", "-h", HOST, "-p", str(server.port), "-U", "postgres",
             "-v", "ON_ERROR_STOP=1", "-v", f"reader={PASSWORD}", "-f", directory / "market.sql"],
            check=True, capture_output=True,
        )  # fmt: skip
        yield server


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_runs_on_the_demos_database(
    example: Example, market: PostgresServer, tmp_path: Path
) -> None:
    keys = {**market.keys(), "dbname": "market", "user": "report_reader"}
    write_secret(tmp_path / "secrets", "report-db", keys)
    metadata = {**example.body["metadata"], "uid": "a-uid", "generation": 1}
    spec = {key: value for key, value in example.body["spec"].items() if key != "delivery"}
    schedule = parse_schedule({**example.body, "metadata": metadata, "spec": spec})
    definition = freeze_definition(schedule, example.template_text())
    (tmp_path / podcontract.DEFINITION_KEY).write_text(definition.content)
    today = f"{datetime.now(UTC):%Y-%m-%d}"  # of a run that is started by hand
    _, result, log = Pod(tmp_path).run(**{podcontract.ENV_REPORT_DATE: today})
    if example.name in FAILING:
        assert FAILING[example.name] in result.message
        return
    assert result.outcome is Outcome.SUCCEEDED, log
    assert all(result.rows.values()), result.rows
