"""A table that is damaged on disk: the report fails with a word, and sends no figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testbed.postgres import PASSWORD, postgres_server
from report_runner.contract.reasons import Reason
from tests.integration.runner.conftest import Database
from tests.integration.runner.test_postgres import failure, fetch


@pytest.fixture
def own_database() -> Iterator[Database]:
    with postgres_server() as server:
        with server.admin() as admin:
            admin.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE TABLE positions (amount numeric)")
            admin.execute("INSERT INTO positions SELECT n FROM generate_series(1, 500) AS n")
            admin.execute("GRANT SELECT ON positions TO reader")
        yield Database(server)


def test_damaged_page_is_told_as_what_it_is(own_database: Database, tmp_path: Path) -> None:
    query = "SELECT sum(amount) AS total FROM positions"
    assert fetch(own_database, tmp_path, query).table.rows == [(125250,)]
    own_database.server.damage("positions")
    error = failure(own_database, tmp_path, query)
    assert error.reason is Reason.DATA_CORRUPTED
    assert "invalid page in block 0 of relation" in error.message
    assert "[SQLSTATE XX001]" in error.message
