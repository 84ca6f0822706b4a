"""Reads of history: pages by keyset, statistics from indexes, each bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from report_operator.adapters.postgres.database import (
    SCHEMA,
    Database,
    HistoryUnavailableError,
    one_line,
)
from report_operator.adapters.postgres.deliveries import DeliveryQuery, StoredDelivery, where
from report_operator.adapters.postgres.writer import COLUMNS
from report_operator.domain.runs.record import RunRecord, StoredOutput
from report_operator.domain.statistics import (
    TOP,
    Failures,
    Granularity,
    HourlyStatistics,
    PatternStatistics,
    Performance,
    Totals,
    TrendStatistics,
    TypeFailures,
    TypeTimes,
)
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, DeliveryStatus, Outcome

RUNS = f"SELECT {', '.join(COLUMNS)} FROM {SCHEMA}.runs"  # noqa: S608

DETAIL = f"{RUNS} WHERE job_id = %s ORDER BY finished_at DESC LIMIT 1"
ATTEMPTS = (
    f"{RUNS} WHERE schedule_uid = %s AND slot = %s ORDER BY attempt DESC, finished_at DESC LIMIT %s"
)
LOG = f"SELECT log_tail FROM {SCHEMA}.runs WHERE job_uid = %s"  # noqa: S608
DELIVERIES = f"""
SELECT recipient, channel, status, message_id, error
FROM {SCHEMA}.deliveries WHERE job_uid = %s ORDER BY position
"""  # noqa: S608
TOTALS = f"""
SELECT count(*), count(*) FILTER (WHERE outcome = 'Succeeded'),
    (avg(run_seconds) FILTER (WHERE outcome <> 'Skipped'))::float8,
    count(*) FILTER (WHERE outcome = 'Skipped')
FROM {SCHEMA}.runs WHERE finished_at >= %s
"""  # noqa: S608
HOURS = f"""
SELECT extract(hour FROM finished_at)::int AS hour, count(*),
    count(*) FILTER (WHERE outcome = 'Failed')
FROM {SCHEMA}.runs WHERE finished_at >= %s AND outcome <> 'Skipped' GROUP BY 1 ORDER BY 1
"""  # noqa: S608
FAILED_TYPES = f"""
SELECT report_type, count(*), count(*) FILTER (WHERE outcome = 'Failed') AS failures
FROM {SCHEMA}.runs WHERE finished_at >= %s AND outcome <> 'Skipped' GROUP BY 1
HAVING count(*) FILTER (WHERE outcome = 'Failed') > 0
ORDER BY 3 DESC, report_type COLLATE "C" LIMIT {TOP}
"""  # noqa: S608
PATTERNS = f"""
SELECT error_pattern, failures, message, last_seen FROM (
    SELECT error_pattern, count(*) AS failures, max(finished_at) AS last_seen
    FROM {SCHEMA}.runs WHERE outcome = 'Failed' AND finished_at >= %s GROUP BY 1
    ORDER BY 2 DESC, error_pattern COLLATE "C" LIMIT {TOP}
) AS found CROSS JOIN LATERAL (
    SELECT message FROM {SCHEMA}.runs AS run
    WHERE outcome = 'Failed' AND run.finished_at = found.last_seen
    AND run.error_pattern = found.error_pattern LIMIT 1
) AS example ORDER BY failures DESC, error_pattern COLLATE "C"
"""  # noqa: S608
TREND = f"""
SELECT date_trunc(%s, finished_at) AS start, count(*), avg(run_seconds)::float8,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY run_seconds)
FROM {SCHEMA}.runs
WHERE finished_at >= %s AND run_seconds IS NOT NULL AND outcome <> 'Skipped' GROUP BY 1 ORDER BY 1
"""  # noqa: S608
SLOWEST = f"""
SELECT report_type, count(*), avg(run_seconds)::float8,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY run_seconds), max(run_seconds)
FROM {SCHEMA}.runs
WHERE finished_at >= %s AND run_seconds IS NOT NULL AND outcome <> 'Skipped' GROUP BY 1
ORDER BY 4 DESC, report_type COLLATE "C" LIMIT {TOP}
"""  # noqa: S608
DEPLOYMENTS = f"""
SELECT rolled_out_at, version, image, components
FROM {SCHEMA}.deployments ORDER BY id DESC LIMIT %s
"""  # noqa: S608
CONNECTIONS = """
SELECT coalesce(state, 'unknown'), count(*)::int FROM pg_stat_activity
WHERE application_name LIKE '%scheduler%' GROUP BY 1
"""

REASONS = {reason.value: reason for reason in Reason}
ATTEMPTS_LIMIT = 50
CHECK_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Filters; `before` is (finished_at, job_id, job) of the last run of the previous page."""

    limit: int
    outcome: Outcome | None = None
    report_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str, str] | None = None
    namespace: str | None = None
    schedule: str | None = None

    def statement(self) -> tuple[str, dict[str, Any]]:
        """SQL and its parameters; each sort order has its index."""
        conditions = {
            "outcome = %(outcome)s": self.outcome,
            "report_type = %(report_type)s": self.report_type,
            "namespace = %(namespace)s": self.namespace,
            "schedule = %(schedule)s": self.schedule,
            "finished_at >= %(since)s": self.since,
            "finished_at < %(until)s": self.until,
            "(finished_at, job_id, job) < (%(at)s, %(id)s, %(job)s)": self.before,
        }
        at, identity, job = self.before or (None, None, None)
        return (
            f"{RUNS}{where(conditions)} "
            "ORDER BY finished_at DESC, job_id DESC, job DESC LIMIT %(limit)s",
            {
                "outcome": self.outcome,
                "report_type": self.report_type,
                "namespace": self.namespace,
                "schedule": self.schedule,
                "since": self.since,
                "until": self.until,
                "at": at,
                "id": identity,
                "job": job,
                "limit": self.limit,
            },
        )


@dataclass(frozen=True, slots=True)
class StoredRun:
    """`log` is None where none was read."""

    record: RunRecord
    deliveries: Sequence[DeliveryResult]
    log: str | None


@dataclass(frozen=True, slots=True)
class StoredDeployment:
    rolled_out_at: datetime
    version: str
    image: str
    components: Sequence[str]


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What a connection made for the check found; `reason` is '' where nothing is wrong."""

    reason: str
    latency_ms: float
    server_version: str | None = None
    connections: Mapping[str, int] = field(default_factory=dict)  # by state; of ours
    pool: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class HistoryReader:
    """Every call raises HistoryUnavailableError, except `check`."""

    database: Database

    async def page(self, query: PageQuery) -> list[RunRecord]:
        """Newest first."""
        return [_record(row) for row in await self._rows(*query.statement())]

    async def find(self, identity: str) -> StoredRun | None:
        """The newest run of this id."""
        found = await self._rows(DETAIL, (identity,))
        if not found:
            return None
        record = _record(found[0])
        deliveries = await self._rows(DELIVERIES, (record.job_uid,))
        log = await self._rows(LOG, (record.job_uid,))
        return StoredRun(
            record,
            [
                DeliveryResult(
                    recipient=recipient,
                    channel=channel,
                    status=DeliveryStatus(status),
                    message_id=message_id,
                    error=error,
                )
                for recipient, channel, status, message_id, error in deliveries
            ],
            log[0][0] if log else None,
        )

    async def deliveries(self, query: DeliveryQuery) -> list[StoredDelivery]:
        """Newest first."""
        return [StoredDelivery(*row) for row in await self._rows(*query.statement())]

    async def attempts(self, schedule_uid: str, slot: datetime) -> list[RunRecord]:
        """Of one slot, newest first; at most 50."""
        rows = await self._rows(ATTEMPTS, (schedule_uid, slot, ATTEMPTS_LIMIT))
        return [_record(row) for row in rows]

    async def totals(self, since: datetime) -> Totals:
        """Of all runs that ended since then."""
        (row,) = await self._rows(TOTALS, (since,))
        return Totals(*row)

    async def failures(self, since: datetime) -> Failures:
        """Of the runs that ended since then."""
        return Failures(
            [HourlyStatistics(*row) for row in await self._rows(HOURS, (since,))],
            [TypeFailures(*row) for row in await self._rows(FAILED_TYPES, (since,))],
            [PatternStatistics(*row) for row in await self._rows(PATTERNS, (since,))],
        )

    async def performance(self, since: datetime, step: Granularity) -> Performance:
        """Of the runs that ended since then."""
        return Performance(
            [TrendStatistics(*row) for row in await self._rows(TREND, (step.value, since))],
            [TypeTimes(*row) for row in await self._rows(SLOWEST, (since,))],
        )

    async def deployments(self, limit: int) -> list[StoredDeployment]:
        """Newest first."""
        return [StoredDeployment(*row) for row in await self._rows(DEPLOYMENTS, (limit,))]

    async def ping(self) -> None:
        """Raises HistoryUnavailableError where PostgreSQL does not answer or has no schema."""
        await self._rows(DEPLOYMENTS, (1,))

    async def check(self) -> DatabaseState:
        """Opens a connection as a new client would, and asks the server about itself."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(CHECK_SECONDS), await self.database.connect() as connection:
                (state,) = await (await connection.execute("SHOW server_version")).fetchall()
                connections = await (await connection.execute(CONNECTIONS)).fetchall()
            await self.ping()
        except (HistoryUnavailableError, psycopg.Error, TimeoutError) as error:
            return DatabaseState(one_line(error), _since(start), pool=self.database.pool_stats)
        return DatabaseState(
            "", _since(start), state[0], dict(connections), self.database.pool_stats
        )

    async def _rows(self, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
        try:
            async with self.database.transaction() as connection:
                return await (await connection.execute(statement, parameters)).fetchall()
        except psycopg.DataError:
            return []  # asked for a text with NUL in it, which no row has


def _since(start: float) -> float:
    return round(1000 * (time.perf_counter() - start), 1)


def _record(row: tuple[Any, ...]) -> RunRecord:
    values = dict(zip(COLUMNS, row, strict=True))
    values["outcome"] = Outcome(values["outcome"])
    # A newer version may have written a reason that this one does not know.
    if values["reason"] is not None:
        values["reason"] = REASONS.get(values["reason"], Reason.INTERNAL_ERROR)
    values["outputs"] = tuple(StoredOutput(**item) for item in values["outputs"])
    return RunRecord(**values)
