"""Writing to and reading from a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hack.testbed.postgres import PostgresServer, write_secret
from hack.testbed.waiting import until
from report_operator.adapters.postgres.database import (
    Database,
    HistoryUnavailableError,
    read_conninfo,
)
from report_operator.adapters.postgres.deliveries import DeliveryQuery
from report_operator.adapters.postgres.past_runs import PostgresPastRuns
from report_operator.adapters.postgres.reader import HistoryReader, PageQuery
from report_operator.adapters.postgres.schema import migrate
from report_operator.adapters.postgres.writer import HistoryEntry, HistoryWriter
from report_operator.domain import statistics
from report_operator.domain.deployment import describe_deployment
from report_operator.domain.runs.history import PastRun, PastRunsUnavailableError, SlotSpan
from report_operator.domain.runs.record import RunRecord
from report_operator.domain.statistics import FinishedRun, Granularity
from report_operator.migrations.versions import runs_0001
from report_runner.contract.result import DeliveryResult, DeliveryStatus, Outcome
from tests.support.records import NOW, failed_record, make_record, many_records

DAY = timedelta(days=1)


def tables(secret: Path) -> set[str]:
    with psycopg.connect(read_conninfo(secret, "tests", 10)) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'report_scheduler'"
        )
        return {row[0] for row in rows}


async def add(writer: HistoryWriter, *records: RunRecord) -> None:
    await writer.add([HistoryEntry(record, ()) for record in records])


# -- schema ---------------------------------------------------------------------------------


def test_concurrent_migrations_create_the_schema_once(secret: Path) -> None:
    conninfo = read_conninfo(secret, "tests", 30)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [conninfo] * 4))
    made = tables(secret)
    assert {"runs", "deliveries", "deployments", "schema_version"} == made
    migrate(conninfo)
    assert tables(secret) == made


async def test_upgrade_keeps_who_asked_for_a_run_and_serves_the_version_before(
    secret: Path, database: Database
) -> None:
    conninfo, writer = read_conninfo(secret, "tests", 10), HistoryWriter(database)
    old = make_record(job_uid="old", requested_by="jane")
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE SCHEMA report_scheduler")
        for statement in (*runs_0001.STATEMENTS, "CREATE TABLE report_scheduler.schema_version "
                          "AS SELECT '0001'::varchar(32) AS version_num"):  # fmt: skip
            connection.execute(statement)
        insert_as_before(connection, old)
        insert_as_before(connection, make_record(job_uid="own"))  # the slot's own run
    await writer.prepare()
    with psycopg.connect(conninfo) as connection:
        while_rolled_out = make_record(job_uid="between", requested_by="kim")
        insert_as_before(connection, while_rolled_out)
    await add(writer, make_record(job_uid="new", requested_by="lee"))
    page = await HistoryReader(writer.database).page(PageQuery(10))
    asked = {"old": "jane", "own": None, "between": "kim", "new": "lee"}
    assert {record.job_uid: record.requested_by for record in page} == asked
    # Who was asked for may have had parameters of its own, which that version did not record.
    overridden = {"old": None, "own": False, "between": None, "new": False}
    assert {record.job_uid: record.overridden for record in page} == overridden
    with psycopg.connect(conninfo) as connection:
        read = connection.execute("SELECT job_uid, asked_by FROM report_scheduler.runs")
        assert dict(read.fetchall()) == asked


def insert_as_before(connection: psycopg.Connection[Any], record: RunRecord) -> None:
    """As version 0.1.0 did."""
    connection.execute(
        "INSERT INTO report_scheduler.runs (job_uid, job_id, namespace, schedule, schedule_uid, "
        "report_type, tier, slot, attempt, manual, asked_by, job, outcome, message, finished_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            record.job_uid, record.job_id, record.namespace, record.schedule,
            record.schedule_uid, record.report_type, record.tier, record.slot, record.attempt,
            record.manual, record.requested_by, record.job, record.outcome, record.message,
            record.finished_at,
        ),
    )  # fmt: skip


async def test_newer_schema_is_left_alone(secret: Path, writer: HistoryWriter) -> None:
    """An operator of the previous version, after a rollback."""
    with psycopg.connect(read_conninfo(secret, "tests", 10)) as connection:
        connection.execute("UPDATE report_scheduler.schema_version SET version_num = '9999'")
        connection.execute("ALTER TABLE report_scheduler.runs ADD COLUMN colour text")
    await writer.prepare()
    await add(writer, make_record())
    assert await HistoryReader(writer.database).page(PageQuery(10)) == [make_record()]


async def test_a_role_that_may_not_create_schemas_uses_one_that_is_there(
    server: PostgresServer, secret: Path, database: Database
) -> None:
    name = secret.name
    with server.admin(name) as admin:
        admin.execute(f"ALTER DATABASE {name} OWNER TO postgres")
        admin.execute(f"CREATE SCHEMA report_scheduler AUTHORIZATION {name}")
    await HistoryWriter(database).prepare()
    assert "runs" in tables(secret)


# -- writes ---------------------------------------------------------------------------------


async def test_deliveries_of_all_runs(writer: HistoryWriter) -> None:
    def delivery(recipient: str, channel: str, status: DeliveryStatus) -> DeliveryResult:
        return DeliveryResult(recipient=recipient, channel=channel, status=status, message_id="<1>")

    jane, file = "Jane@x.test", "portal:a/b.pdf"
    for number, status in enumerate((DeliveryStatus.FAILED, DeliveryStatus.SENT)):
        record = make_record(
            number, job_uid=f"uid-{number}", finished_at=NOW + timedelta(hours=number)
        )
        found = [
            delivery(jane, "email", status),
            delivery("kim@x.test", "email", DeliveryStatus.SENT),
            delivery(file, "upload", DeliveryStatus.SENT),
        ]
        await writer.add([HistoryEntry(record, found)])
    reader = HistoryReader(writer.database)

    async def ask(**filters: Any) -> list[tuple[str, str]]:
        rows = await reader.deliveries(DeliveryQuery(10, **filters))
        return [(row.recipient, row.status) for row in rows]

    assert await ask(recipient="jane@X.test") == [(jane, "sent"), (jane, "failed")]
    assert await ask(channel="upload") == [(file, "sent")] * 2
    assert await ask(status="failed") == [(jane, "failed")]
    assert await ask(since=NOW + timedelta(minutes=1), recipient=jane) == [(jane, "sent")]
    assert await ask(until=NOW + timedelta(minutes=1), recipient=jane) == [(jane, "failed")]
    assert await ask(schedule="nothing") == []
    whole = await reader.deliveries(DeliveryQuery(10))
    assert len(whole) == 6
    pages: list[Any] = []
    while True:
        last = pages[-1] if pages else None
        before = last and (last.finished_at, last.job_id, last.job, last.position)
        page = await reader.deliveries(DeliveryQuery(2, before=before))
        if not page:
            break
        pages += page
    assert pages == whole


async def test_record_round_trip(writer: HistoryWriter) -> None:
    record = failed_record(message="a\0b")
    deliveries = [
        DeliveryResult(recipient="a@x.test", status=DeliveryStatus.SENT, message_id="<1>"),
        DeliveryResult(recipient="b@x.test", status=DeliveryStatus.FAILED, error="451 later"),
    ]
    for _ in range(2):
        await writer.add([HistoryEntry(record, deliveries)])
    assert await writer.known([record.job_uid, "other"]) == {record.job_uid: False}
    await writer.add_log(record.job_uid, "one\ntwo")
    await writer.add_log(record.job_uid, "")  # by an operator that came later
    assert await writer.known([record.job_uid]) == {record.job_uid: True}
    kept = await HistoryReader(writer.database).find(record.job_id)
    assert kept is not None
    assert kept.record.message == "ab"  # PostgreSQL keeps no NUL
    assert kept.record.job_uid == record.job_uid
    assert kept.deliveries == deliveries
    assert kept.log == "one\ntwo"
    assert await HistoryReader(writer.database).find("reports.other.20260101T000000Z.1") is None


async def test_outcomes_that_are_recorded_do_not_change(writer: HistoryWriter) -> None:
    await add(writer, make_record(1))
    await add(writer, failed_record(1), make_record(2))
    page = await HistoryReader(writer.database).page(PageQuery(10))
    assert sorted((run.job_uid, run.outcome) for run in page) == [
        ("uid-1", Outcome.SUCCEEDED), ("uid-2", Outcome.SUCCEEDED)
    ]  # fmt: skip


async def test_old_runs_are_deleted_in_bounded_steps(writer: HistoryWriter) -> None:
    records = [make_record(number, finished_at=NOW - number * DAY) for number in range(10)]
    await writer.add(
        [
            HistoryEntry(r, [DeliveryResult(recipient="a", status=DeliveryStatus.SENT)])
            for r in records
        ]
    )
    assert await writer.delete_older(NOW - 4.5 * DAY, 3) == 3
    assert await writer.delete_older(NOW - 4.5 * DAY, 3) == 2
    assert await writer.delete_older(NOW - 4.5 * DAY, 3) == 0
    page = await HistoryReader(writer.database).page(PageQuery(10))
    assert [run.job_uid for run in page] == [f"uid-{number}" for number in range(5)]


async def test_a_roll_out_is_recorded_once_and_going_back_is_another(
    writer: HistoryWriter,
) -> None:
    one, two = (describe_deployment(v, f"reports:{v}", {"workers": 1}) for v in ("1", "2"))
    for deployment in (one, one, two, two, one):
        await writer.add_deployment(deployment, NOW)
    kept = await HistoryReader(writer.database).deployments(10)
    assert [deployment.image for deployment in kept] == ["reports:1", "reports:2", "reports:1"]
    assert any("scheduler" in component for component in kept[0].components)


# -- reads ----------------------------------------------------------------------------------


@pytest.fixture
async def filled(writer: HistoryWriter) -> list[RunRecord]:
    records = list(many_records(600, 40 * DAY))
    await add(writer, *records)
    return records


async def test_pages_follow_each_other_while_new_runs_come(
    writer: HistoryWriter, filled: list[RunRecord]
) -> None:
    reader = HistoryReader(writer.database)
    seen: list[RunRecord] = []
    before = None
    while page := await reader.page(PageQuery(20, Outcome.FAILED, before=before)):
        seen += page
        last = page[-1]
        before = (last.finished_at, last.job_id, last.job)
        await add(writer, failed_record(10_000 + len(seen), finished_at=NOW + DAY))
    wanted = [run for run in filled if run.outcome is Outcome.FAILED]
    assert len(wanted) > 40
    assert seen == sorted(
        wanted, key=lambda run: (run.finished_at, run.job_id, run.job), reverse=True
    )


async def test_nul_in_a_filter_finds_nothing(
    writer: HistoryWriter, filled: list[RunRecord]
) -> None:
    reader = HistoryReader(writer.database)
    assert await reader.page(PageQuery(5, report_type="a\0b")) == []
    assert await reader.find("a\0b") is None


async def test_filters(writer: HistoryWriter, filled: list[RunRecord]) -> None:
    since, until = NOW - 9 * DAY, NOW - 3 * DAY
    found = await HistoryReader(writer.database).page(
        PageQuery(1000, Outcome.FAILED, "risk", since, until)
    )
    assert found
    assert {run.job_uid for run in found} == {
        run.job_uid
        for run in filled
        if run.outcome is Outcome.FAILED
        and run.report_type == "risk"
        and since <= run.finished_at < until
    }


@pytest.mark.parametrize("step", list(Granularity))
async def test_figures_are_those_of_the_same_runs_counted_here(
    writer: HistoryWriter, filled: list[RunRecord], step: Granularity
) -> None:
    since = NOW - 30 * DAY
    reader = HistoryReader(writer.database)
    runs = [
        FinishedRun(run.report_type, run.outcome, run.finished_at, run.run_seconds, run.message)
        for run in filled
        if run.finished_at >= since
    ]
    assert await reader.failures(since) == statistics.failures(runs)
    found, counted = await reader.performance(since, step), statistics.performance(runs, step)
    assert [f.start for f in found.trend] == [f.start for f in counted.trend]
    assert [f.p95_seconds for f in found.trend] == [f.p95_seconds for f in counted.trend]
    assert [f.avg_seconds for f in found.trend] == pytest.approx(
        [f.avg_seconds for f in counted.trend]
    )
    assert [(f.report_type, f.runs, f.p95_seconds, f.max_seconds) for f in found.types] == [
        (f.report_type, f.runs, f.p95_seconds, f.max_seconds) for f in counted.types
    ]
    totals = await reader.totals(since)
    expected = statistics.totals(runs)
    assert expected.skipped > 10
    assert (totals.finished, totals.succeeded, totals.skipped) == (
        expected.finished, expected.succeeded, expected.skipped
    )  # fmt: skip
    assert totals.avg_seconds == pytest.approx(expected.avg_seconds)


async def test_an_empty_history_has_figures_too(writer: HistoryWriter) -> None:
    reader = HistoryReader(writer.database)
    assert await reader.failures(NOW) == statistics.failures([])
    assert await reader.performance(NOW, Granularity.DAY) == statistics.performance(
        [], Granularity.DAY
    )
    assert await reader.totals(NOW) == statistics.totals([])


async def test_attempts_and_past_runs_of_a_slot(writer: HistoryWriter) -> None:
    late = NOW - timedelta(hours=1)
    await add(
        writer,
        make_record(1, attempt=1),
        failed_record(2, attempt=2),
        failed_record(3, slot=late, attempt=1),
        make_record(4, slot=NOW - DAY),
        failed_record(5, schedule_uid="of-the-cluster-before", slot=NOW, attempt=1),
        make_record(6, schedule_uid="of-the-cluster-before", slot=NOW, attempt=2),
        make_record(7, schedule_uid="a-namesake-before", slot=late, report_type="another"),
        make_record(8, namespace="another-team", schedule_uid="theirs", slot=late),
    )
    slot = make_record().slot
    attempts = await HistoryReader(writer.database).attempts("schedule-1", slot)
    assert [run.attempt for run in attempts] == [2, 1]
    of = SlotSpan("reports", "daily", "schedule-1", "executive_dashboard", late, NOW)
    past = await PostgresPastRuns(writer.database).of(of)
    assert list(past) == [
        PastRun(late, 1, Outcome.FAILED),
        PastRun(slot, 1, Outcome.SUCCEEDED),
        PastRun(slot, 2, Outcome.FAILED),
        PastRun(NOW, 2, Outcome.SUCCEEDED),
    ]


# -- what is not there ----------------------------------------------------------------------


async def test_no_schema_yet(database: Database) -> None:
    with pytest.raises(HistoryUnavailableError, match="the operator makes it"):
        await HistoryReader(database).page(PageQuery(1))


async def test_a_secret_without_a_key_is_named(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", {"host": "127.0.0.1", "dbname": "x"})
    async with Database(tmp_path / "secret", "tests", 1, 1.0) as database:
        with pytest.raises(HistoryUnavailableError, match="no key user"):
            await HistoryReader(database).ping()
        state = await HistoryReader(database).check()
    assert "no key user" in state.reason


async def test_changed_password_is_used_and_a_wrong_one_reported(
    secret: Path, writer: HistoryWriter
) -> None:
    right = (secret / "password").read_text()
    (secret / "password").write_text("wrong-pw")
    async with Database(secret, "tests", 1, 1.0) as database:
        reader = HistoryReader(database)
        with pytest.raises(HistoryUnavailableError, match="password authentication failed") as got:
            await reader.ping()
        assert "wrong-pw" not in str(got.value)
        (secret / "password").write_text(right)
        assert (await reader.check()).reason in ("", str(got.value))
    async with Database(secret, "tests", 1, 1.0) as database:
        await HistoryReader(database).ping()


async def test_reconnects_after_a_server_restart(tmp_path: Path) -> None:
    server = PostgresServer()
    server.create()
    try:
        server.start()
        async with Database(server.make_database(tmp_path), "tests", 2, 5.0) as database:
            writer, reader = HistoryWriter(database), HistoryReader(database)
            await writer.prepare()
            state = await reader.check()
            assert state.reason == ""
            assert state.server_version
            server.stop()
            for _ in range(2):
                with pytest.raises(HistoryUnavailableError, match=r"refused|terminat|closed"):
                    await reader.ping()
            with pytest.raises(PastRunsUnavailableError):
                await PostgresPastRuns(database).of(SlotSpan("n", "s", "u", "t", NOW, NOW))
            assert "refused" in (await reader.check()).reason
            server.start()
            await until_it_serves(reader)
            await writer.add([HistoryEntry(make_record(), ())])
    finally:
        server.remove()


async def until_it_serves(reader: HistoryReader) -> None:
    async def serves() -> bool:
        try:
            await reader.ping()
        except HistoryUnavailableError:
            return False
        return True

    await until("PostgreSQL serves", serves, 30)
