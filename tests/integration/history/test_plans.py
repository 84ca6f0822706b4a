"""No query of the API or of a backfill scans the whole table of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hack.testbed.history import fill
from hack.testbed.postgres import PostgresServer
from report_operator.adapters.postgres.database import Database, read_conninfo
from report_operator.adapters.postgres.past_runs import PAST_RUNS, parameters
from report_operator.adapters.postgres.reader import HistoryReader, PageQuery
from report_operator.adapters.postgres.schema import migrate
from report_operator.adapters.postgres.writer import DELETE_OLD, SELECT_KNOWN
from report_operator.domain.runs.history import SlotSpan
from report_operator.domain.statistics import Granularity
from report_runner.contract.result import Outcome

RUNS = 100_000
SPAN = timedelta(days=365)
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def filled(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    secret = server.make_database(tmp_path_factory.mktemp("filled"))
    conninfo = read_conninfo(secret, "tests", 300)
    migrate(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        fill(connection, RUNS, SPAN, NOW)
    return secret


class Explaining(HistoryReader):
    """Explains every statement before it executes it."""

    plans: list[dict[str, Any]]

    async def _rows(self, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as connection:
            cursor = await connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            row = await cursor.fetchone()
            assert row is not None
            self.plans.append({"statement": statement, "plan": row[0][0]["Plan"]})
        return await super()._rows(statement, parameters)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scans(plan: dict[str, Any]) -> list[str]:
    """Plan nodes that scan the table of runs."""
    return [
        node["Node Type"]
        for node in nodes(plan)
        if node["Node Type"].startswith("Seq Scan") and node.get("Relation Name") == "runs"
    ]


async def test_a_table_scan_is_detected(filled: Path) -> None:
    async with Database(filled, "tests", 1, 10.0) as database:
        reader = Explaining(database)
        reader.plans = []
        await reader._rows("SELECT * FROM report_scheduler.runs WHERE rows = 7", ())
    assert scans(reader.plans[0]["plan"]) == ["Seq Scan"], json.dumps(reader.plans)


PAGES = [
    PageQuery(limit, outcome, report_type, since, until, before)
    for limit in (1, 501)
    for outcome in (None, Outcome.FAILED, Outcome.SUCCEEDED)
    for report_type in (None, "type_1", "unheard_of")
    for since, until in ((None, None), (NOW - DAY, None), (None, NOW - 300 * DAY))
    for before in (None, (NOW - 200 * DAY, "reports.m", "m"))
] + [
    PageQuery(limit, outcome, None, None, None, before, namespace, schedule)
    for limit in (1, 501)
    for outcome in (None, Outcome.FAILED)
    for before in (None, (NOW - 200 * DAY, "reports.m", "m"))
    for namespace, schedule in (
        ("reports", None), ("unheard-of", None), (None, "schedule-7"), ("reports", "schedule-7"),
        ("reports", "unheard-of"),
    )
]  # fmt: skip


async def test_pages_come_from_an_index(filled: Path) -> None:
    async with Database(filled, "tests", 1, 10.0) as database:
        reader = Explaining(database)
        reader.plans = []
        for query in PAGES:
            await reader.page(query)
    assert len(reader.plans) == len(PAGES)
    for query, told in zip(PAGES, reader.plans, strict=True):
        assert scans(told["plan"]) == [], query
        (scan,) = [node for node in nodes(told["plan"]) if "Relation Name" in node]
        # By a bitmap where so few are left that sorting them costs nothing.
        assert scan["Node Type"] in ("Index Scan", "Bitmap Heap Scan"), (query, told["plan"])


async def test_all_other_queries_use_an_index(filled: Path) -> None:
    async with Database(filled, "tests", 1, 10.0) as database:
        reader = Explaining(database)
        reader.plans = []
        (run,) = await reader.page(PageQuery(1))
        assert await reader.find(run.job_id)
        assert await reader.attempts(run.schedule_uid, run.slot)
        await reader.ping()
        for days in (1, 7, 30):
            await reader.totals(NOW - days * DAY)
            await reader.failures(NOW - days * DAY)
            for step in Granularity:
                await reader.performance(NOW - days * DAY, step)
        span = SlotSpan(
            run.namespace, run.schedule, run.schedule_uid, run.report_type, NOW - 90 * DAY, NOW
        )
        await reader._rows(PAST_RUNS, parameters(span))
        await reader._rows(SELECT_KNOWN, ([run.job_uid, "unheard-of"],))
        async with database.transaction() as connection:
            cursor = await connection.execute(
                f"EXPLAIN (FORMAT JSON) {DELETE_OLD}", (NOW - 360 * DAY, 5000)
            )
            row = await cursor.fetchone()
            assert row is not None
            reader.plans.append({"statement": DELETE_OLD, "plan": row[0][0]["Plan"]})
    for told in reader.plans:
        assert scans(told["plan"]) == [], told["statement"]
