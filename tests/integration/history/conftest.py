"""A real PostgreSQL server, and databases with the schema in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hack.testbed.postgres import PostgresServer, postgres_server
from report_operator.adapters.postgres.database import Database
from report_operator.adapters.postgres.writer import HistoryWriter


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        yield made


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    with postgres_server() as made:
        yield made


@pytest.fixture
def secret(server: PostgresServer, tmp_path: Path) -> Path:
    """The Secret of a new, empty database."""
    return server.make_database(tmp_path)


@pytest.fixture
async def database(secret: Path) -> AsyncIterator[Database]:
    async with Database(secret, "report-scheduler-tests", 4, 10.0) as made:
        yield made


@pytest.fixture
async def writer(database: Database) -> HistoryWriter:
    """A writer whose schema is migrated."""
    made = HistoryWriter(database)
    await made.prepare()
    return made
