"""A database that cannot be reached is called by the Secret's host, not by an address."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from report_runner.contract.reasons import Reason
from report_runner.contract.sources import PostgresSource
from report_runner.sources.postgres_errors import SourceNames, connect_error, query_error

WHERE = SourceNames("spec.report.sources[rows].postgres", "report-db")
SERVER = "db.team.svc:5432"
REFUSED = (
    'connection failed: connection to server at "{}", port 5432 failed: Connection refused\n'
    "\tIs the server running on that host and accepting TCP/IP connections?"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            REFUSED.format("10.96.0.17"),
            "Connection refused Is the server running on that host and accepting TCP/IP "
            "connections?",
        ),
        (
            # psycopg's, for a name with several addresses
            f"{REFUSED.format('10.96.0.17')}\nMultiple connection attempts failed. All failures "
            f"were:\n- host: 'db.team.svc', port: 5432, hostaddr: 'fd00::17': "
            f"{REFUSED.format('fd00::17')}\n- host: 'db.team.svc', port: 5432, hostaddr: "
            f"'10.96.0.17': {REFUSED.format('10.96.0.17')}",
            "Connection refused Is the server running on that host and accepting TCP/IP "
            "connections?",
        ),
        (
            'connection to server at "db.team.svc" (10.96.0.17), port 5432 failed: timeout expired',
            "timeout expired",
        ),
    ],
)
def test_no_connection(text: str, told: str) -> None:
    found = connect_error(psycopg.OperationalError(text), WHERE, SERVER, str)
    assert found.reason is Reason.DATABASE_UNAVAILABLE
    assert found.message == (
        "spec.report.sources[rows].postgres: no connection to db.team.svc:5432 with Secret "
        f"report-db: {told}"
    )


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (
            errors.QueryCanceled("canceling statement due to statement timeout"),
            Reason.TIMEOUT,
            "query was stopped after spec.report.sources[rows].postgres.timeout (90s)",
        ),
        (
            errors.QueryCanceled("canceling statement due to user request"),
            Reason.DATABASE_UNAVAILABLE,
            "user request",
        ),
        (
            errors.LockNotAvailable("canceling statement due to lock timeout"),
            Reason.DATABASE_UNAVAILABLE,
            "waited 30 s for a lock",
        ),
    ],
)
def test_query_that_is_ended(error: psycopg.Error, reason: Reason, words: str) -> None:
    source = PostgresSource.model_validate(
        {"connection": {"secretRef": {"name": "report-db"}}, "query": "SELECT 1", "timeout": "90s"}
    )
    found = query_error(error, source, WHERE.field, str, "")
    assert found.reason is reason
    assert words in found.message
