"""From status into a real PostgreSQL, with a fake API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from hack.testbed.postgres import PostgresServer
from hack.testbed.waiting import until
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.store import Store
from report_operator.adapters.postgres.database import Database
from report_operator.adapters.postgres.reader import HistoryReader, PageQuery
from report_operator.adapters.postgres.writer import HistoryWriter
from report_operator.api.v1alpha1.resource import Key
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.controllers.history_archiver import HistoryArchiver
from report_operator.domain.deployment import describe_deployment
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.metrics import Metrics
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

NOW = datetime.now(UTC).replace(microsecond=0)
KEY = Key("reports", "daily")


@dataclass
class Logs:
    """The part of KubeClient that history uses."""

    lines: list[str] = field(default_factory=lambda: ["one", "two"])
    error: Exception | None = None
    asked: int = 0
    wait: asyncio.Event | None = None

    async def log_tail(self, namespace: str, pod: str, lines: int) -> list[str]:
        self.asked += 1
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        return self.lines

    async def list(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []


@dataclass
class Scene:
    historian: HistoryArchiver
    logs: Logs
    reader: HistoryReader
    changed: list[Key]
    store: Store

    def offer(self, *entries: RecentRun, uid: str = "schedule-1") -> None:
        status = ReportScheduleStatus(recent_runs=list(entries))
        body = {
            "metadata": {"namespace": "reports", "name": "daily", "uid": uid},
            "spec": {"reportType": "dashboard"},
            "status": status.to_wire(),
        }
        runs = [make_run(entry) for entry in entries]
        for run in runs:
            self.store.pods[run.namespace, run.uid] = {"pod": ended_pod()}
        self.historian.enqueue(body, entries, runs)

    def waits(self, *uids: str, schedule: str = "schedule-1") -> set[str]:
        return self.historian.pending(schedule, list(uids))

    async def until(self, holds: Callable[[], bool]) -> None:
        async def held() -> bool:
            return holds()

        await until("it holds", held, 20)


@asynccontextmanager
async def scene(
    writer: HistoryWriter, logs: Logs, retention: timedelta | None = None
) -> AsyncIterator[Scene]:
    changed: list[Key] = []
    store = Store()
    historian = HistoryArchiver(
        writer=writer,
        kube=cast(KubeClient, logs),
        store=store,
        metrics=Metrics(list, list, {}),
        clock=lambda: datetime.now(UTC),
        enqueue_schedule=changed.append,
        deployment=describe_deployment("1", "reports:1", {}),
        retention=retention,
    )
    task = asyncio.create_task(historian.run())
    try:
        yield Scene(historian, logs, HistoryReader(writer.database), changed, store)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def entry(uid: str, reason: Reason | None = None, **changes: Any) -> RecentRun:
    values = {
        "job": f"daily-{uid}",
        "uid": uid,
        "slot": NOW,
        "outcome": Outcome.FAILED if reason else Outcome.SUCCEEDED,
        "reason": reason,
        "message": "no table" if reason else "",
        "finished_at": NOW,
        **changes,
    }
    return RecentRun(**values)


def make_run(of: RecentRun) -> Run:
    return Run(
        name=of.job, uid=of.uid, resource_version="1", namespace="reports", schedule="daily",
        schedule_uid="schedule-1", slot=of.slot, manual=False, tier="bulk", priority="high",
        concurrency="Allow", time_zone="Etc/UTC", created_at=NOW, suspended=False, deleting=False,
        finished_at=of.finished_at, succeeded=of.outcome is Outcome.SUCCEEDED,
    )  # fmt: skip


def ended_pod() -> Pod:
    return Pod(name="pod", created_at=NOW, phase="Failed", exit_code=78)


def shown(it: Scene, metric: str) -> float | None:
    return it.historian.metrics.registry.get_sample_value(metric)


async def test_failed_run_is_pruned_once_its_log_is_stored(writer: HistoryWriter) -> None:
    async with scene(writer, Logs(wait=asyncio.Event())) as it:
        it.offer(entry("bad", Reason.CONFIGURATION_ERROR), entry("good"))
        await it.until(lambda: it.waits("bad", "good") == {"bad"})
        assert len(await it.reader.page(PageQuery(10))) == 2  # its row is there already
        it.offer(entry("bad", Reason.CONFIGURATION_ERROR), entry("good"))
        assert it.logs.wait is not None
        it.logs.wait.set()
        await it.until(lambda: not it.waits("bad"))
        kept = await it.reader.find((await it.reader.page(PageQuery(1)))[0].job_id)
        assert kept is not None
        assert it.changed == [KEY, KEY]
        assert it.logs.asked == 1
    rows = {run.job_uid: run for run in await it.reader.page(PageQuery(10))}
    assert rows["bad"].tier == "bulk"
    assert (rows["good"].report_type, rows["good"].priority) == ("dashboard", "high")


async def test_unreadable_log_blocks_nothing(writer: HistoryWriter) -> None:
    async with scene(writer, Logs(error=ApiError(500, "", "no kubelet"))) as it:
        it.offer(entry("bad", Reason.TIMEOUT))
        await it.until(lambda: not it.waits("bad"))
    async with scene(writer, Logs()) as it:  # the next operator does not ask again
        it.offer(entry("bad", Reason.TIMEOUT))
        await it.until(lambda: not it.waits("bad"))
        assert it.logs.asked == 0


async def test_log_is_stored_after_a_crash(writer: HistoryWriter) -> None:
    async with scene(writer, Logs(wait=asyncio.Event())) as it:
        it.offer(entry("bad", Reason.TIMEOUT))
        await it.until(lambda: it.logs.asked == 1)
    async with scene(writer, Logs()) as it:
        it.offer(entry("bad", Reason.TIMEOUT))
        await it.until(lambda: not it.waits("bad"))
    (run,) = await it.reader.page(PageQuery(10))
    kept = await it.reader.find(run.job_id)
    assert kept is not None
    assert kept.log == "one\ntwo"


async def test_records_deleted_by_retention_stay_deleted(writer: HistoryWriter) -> None:
    old = entry("old", finished_at=NOW - timedelta(days=40))
    async with scene(writer, Logs()) as it:
        it.offer(old, entry("new"))
        await it.until(lambda: not it.waits("old", "new"))
    async with scene(writer, Logs(), timedelta(days=30)) as it:
        it.offer(old, entry("new"), entry("newer"))
        await it.until(lambda: not it.waits("old", "new", "newer"))

        async def only_new_ones() -> bool:
            return await kept_uids(it) == {"new", "newer"}

        await until("the old one is gone", only_new_ones, 20)


async def kept_uids(it: Scene) -> set[str]:
    return {run.job_uid for run in await it.reader.page(PageQuery(10))}


async def test_record_refused_by_postgres_blocks_no_other(writer: HistoryWriter) -> None:
    async with writer.database.transaction() as connection:
        await connection.execute(
            "ALTER TABLE report_scheduler.runs ADD CONSTRAINT picky CHECK (job <> 'daily-refused')"
        )
    async with scene(writer, Logs()) as it:
        it.offer(entry("refused"), entry("good"))
        await it.until(lambda: it.waits("refused", "good") == {"refused"})
        assert shown(it, "report_scheduler_history_refused_records") == 1
        async with writer.database.transaction() as connection:
            await connection.execute("ALTER TABLE report_scheduler.runs DROP CONSTRAINT picky")
        it.offer(entry("refused"), entry("good"))
        await it.until(lambda: not it.waits("refused"))
        assert shown(it, "report_scheduler_history_refused_records") == 0
        assert shown(it, "report_scheduler_history_corruption_errors_total") == 0
    assert await kept_uids(it) == {"refused", "good"}


async def test_damaged_history_is_told_as_what_it_is(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """Nothing is given up: the outcome waits, and its Job with it."""
    secret = own_server.make_database(tmp_path)
    async with Database(secret, "report-scheduler-tests", 4, 10.0) as database:
        writer = HistoryWriter(database)
        await writer.prepare()
        async with scene(writer, Logs()) as it:
            it.offer(entry("before"))
            await it.until(lambda: not it.waits("before"))
    name = (secret / "dbname").read_text()
    await asyncio.to_thread(own_server.damage, "report_scheduler.runs", name)
    async with (
        Database(secret, "report-scheduler-tests", 4, 10.0) as database,
        scene(HistoryWriter(database), Logs()) as it,
    ):
        it.offer(entry("after"))
        corrupted = "report_scheduler_history_corruption_errors_total"
        await it.until(lambda: (shown(it, corrupted) or 0) > 0)
        assert it.waits("after") == {"after"}
        assert shown(it, "report_scheduler_history_refused_records") == 0


async def test_schedule_deleted_before_its_record_is_written(writer: HistoryWriter) -> None:
    async with scene(writer, Logs()) as it:
        it.offer(entry("last"))
        await it.until(lambda: not it.waits("last"))
        it.historian._forget_deleted()
        assert it.waits("last") == {"last"}  # nothing is remembered of it
    assert len(await it.reader.page(PageQuery(10))) == 1


async def test_rollout_is_recorded(writer: HistoryWriter) -> None:
    async with scene(writer, Logs()) as it:
        it.offer(entry("any"))
        await it.until(lambda: not it.waits("any"))
    (deployment,) = await it.reader.deployments(5)
    assert deployment.image == "reports:1"
