"""The PostgreSQL source against a real server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
from report_runner.environment import RunStamps
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.sources import Fetched, SourceContext, fetch_all

PASSWORD = "s3cret-pw-of-the-test"


def context(secrets: Path, query: str, **source: Any) -> SourceContext:
    definition = Definition.model_validate(
        {
            "namespace": "reports",
            "name": "daily",
            "uid": "u1",
            "reportType": "positions",
            "timeZone": "Etc/UTC",
            "report": {
                "title": "Positions",
                "parameters": {"minimum": 10, "wanted": ["ISIN1", "ISIN2"]},
                "sources": [
                    {
                        "name": "positions",
                        "postgres": {
                            "connection": {"secretRef": {"name": "report-db"}},
                            "query": query,
                            **source,
                        },
                    }
                ],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )
    run = RunStamps(
        datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "daily.20260105.1", 1, "pod"
    )
    return SourceContext(definition, run, Secrets(secrets))


def fetch(database: Any, tmp_path: Path, query: str, **source: Any) -> Fetched:
    database.secret(tmp_path)
    return fetch_all(context(tmp_path, query, **source))["positions"]


def failure(database: Any, tmp_path: Path, query: str, **source: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        fetch(database, tmp_path, query, **source)
    assert PASSWORD not in caught.value.message
    return caught.value


def test_rows_with_bound_parameters(database: Any, tmp_path: Path) -> None:
    found = fetch(
        database,
        tmp_path,
        "SELECT isin, amount FROM positions WHERE day <= %(report_date)s "
        "AND isin = ANY(%(wanted)s) ORDER BY isin",
    )
    assert found.table.columns == ("isin", "amount")
    assert found.table.rows == [("ISIN1", Decimal("1.5")), ("ISIN2", Decimal("3.0"))]


def test_no_rows_still_have_columns(database: Any, tmp_path: Path) -> None:
    found = fetch(database, tmp_path, "SELECT isin, amount FROM positions WHERE false")
    assert found.table.columns == ("isin", "amount")
    assert found.table.rows == []


def test_query_is_identifiable_in_pg_stat_activity(database: Any, tmp_path: Path) -> None:
    found = fetch(
        database,
        tmp_path,
        "SELECT application_name, query FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    )
    name, query = found.table.rows[0]
    assert name == "report-scheduler/daily.20260105.1"
    assert "/* report reports/daily run daily.20260105.1 */" in query


@pytest.mark.parametrize(
    ("query", "reason", "said"),
    [
        ("SELECT *\nFROM missing_table", Reason.CONFIGURATION_ERROR, "line 2, column 6"),
        ("SELECT *\nFROM missing_table", Reason.CONFIGURATION_ERROR, "missing_table"),
        ("SELEKT 1", Reason.CONFIGURATION_ERROR, "line 1, column 1: syntax error"),
        ("SELECT nope FROM positions", Reason.CONFIGURATION_ERROR, "nope"),
        ("SELECT * FROM payroll", Reason.CONFIGURATION_ERROR, "permission denied"),
        ("SELECT %(nope)s", Reason.CONFIGURATION_ERROR, "there is no parameter nope"),
        ("SELECT 10 % 3", Reason.CONFIGURATION_ERROR, "%%"),
        ("SELECT 1; SELECT 2", Reason.CONFIGURATION_ERROR, "multiple commands"),
        ("DELETE FROM positions", Reason.CONFIGURATION_ERROR, "may only read"),
        ("CREATE TABLE t (x int)", Reason.CONFIGURATION_ERROR, "may only read"),
        ("SET statement_timeout = 0", Reason.CONFIGURATION_ERROR, ""),
        ("SELECT 1 AS a, 2 AS a", Reason.CONFIGURATION_ERROR, "several columns a"),
        ("SELECT 1/0", Reason.CONFIGURATION_ERROR, "division by zero"),
    ],
)
def test_query_errors_name_line_and_column(
    database: Any, tmp_path: Path, query: str, reason: Reason, said: str
) -> None:
    error = failure(database, tmp_path, query)
    assert error.reason is reason
    assert "spec.report.sources[positions].postgres" in error.message
    assert said in error.message


def test_a_slow_query_is_cancelled(database: Any, tmp_path: Path) -> None:
    error = failure(database, tmp_path, "SELECT pg_sleep(60)", timeout="1s")
    assert error.reason is Reason.TIMEOUT
    with database.admin() as admin:
        row = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
            "AND pid <> pg_backend_pid() AND state = 'active'"
        ).fetchone()
    assert row == (0,)


def test_too_many_rows_are_refused(database: Any, tmp_path: Path) -> None:
    error = failure(database, tmp_path, "SELECT * FROM positions", maxRows=10)
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert "maxRows (10)" in error.message


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"password": "wrong"}, Reason.CONFIGURATION_ERROR, "password authentication failed"),
        ({"dbname": "nowhere"}, Reason.CONFIGURATION_ERROR, "does not exist"),
        ({"port": "1"}, Reason.DATABASE_UNAVAILABLE, "refused"),
    ],
)
def test_login(
    database: Any, tmp_path: Path, changes: dict[str, str], reason: Reason, said: str
) -> None:
    database.secret(tmp_path, **changes)
    with pytest.raises(RunError) as caught:
        fetch_all(context(tmp_path, "SELECT 1"))
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert "report-db" in caught.value.message
    assert PASSWORD not in caught.value.message


def test_missing_secret_key_is_named(database: Any, tmp_path: Path) -> None:
    database.secret(tmp_path)
    (tmp_path / "report-db" / "user").unlink()
    with pytest.raises(RunError, match="Secret report-db has no key user"):
        fetch_all(context(tmp_path, "SELECT 1"))


def test_a_text_without_encoding_is_told(database: Any, tmp_path: Path) -> None:
    with database.admin() as admin:
        admin.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    database.secret(tmp_path, dbname="bytes")
    with pytest.raises(RunError) as caught:
        fetch_all(context(tmp_path, "SELECT 1 AS a, E'\\xff'::text AS city"))
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert "convert_from(column::bytea, 'LATIN1')" in caught.value.message


@pytest.mark.parametrize(
    ("value", "query", "found"),
    [
        ([1, 2.5], "SELECT 2.5 = ANY(%(p)s)", True),
        ([], "SELECT 'a' = ANY(%(p)s)", False),
        ({"a": 0.1}, "SELECT %(p)s->>'a'", "0.1"),
        ([{"a": 1}], "SELECT jsonb_array_length(%(p)s)", 1),
        (None, "SELECT %(p)s::text IS NULL", True),
    ],
)
def test_parameters_of_every_kind(
    database: Any, tmp_path: Path, value: Any, query: str, found: Any
) -> None:
    database.secret(tmp_path)
    made = context(tmp_path, query)
    made.definition.report.parameters["p"] = value
    ((cell,),) = fetch_all(made)["positions"].table.rows
    assert cell == found


def test_a_list_of_several_types_is_named(database: Any, tmp_path: Path) -> None:
    database.secret(tmp_path)
    made = context(tmp_path, "SELECT 'a' = ANY(%(p)s)")
    made.definition.report.parameters["p"] = [1, "a"]
    with pytest.raises(RunError, match=r"parameters\.p is a list of several types"):
        fetch_all(made)


def test_a_place_behind_placeholders_is_the_authors(database: Any, tmp_path: Path) -> None:
    error = failure(database, tmp_path, "SELECT %(minimum)s,\n %(report_date)s FROM FROM")
    assert "line 2, column 23" in error.message
