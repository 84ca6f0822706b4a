"""Writes of history. Each may be repeated: existing rows stay as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from report_operator.adapters.postgres.database import (
    SCHEMA,
    Database,
    HistoryUnavailableError,
    one_line,
)
from report_operator.adapters.postgres.schema import migrate
from report_operator.domain.deployment import Deployment
from report_operator.domain.runs.record import RunRecord
from report_runner.contract.result import DeliveryResult

COLUMNS = tuple(item.name for item in fields(RunRecord))

INSERT_RUN = f"""
INSERT INTO {SCHEMA}.runs ({", ".join(COLUMNS)})
VALUES ({", ".join(f"%({name})s" for name in COLUMNS)})
ON CONFLICT (job_uid) DO NOTHING
"""  # noqa: S608

INSERT_DELIVERY = f"""
INSERT INTO {SCHEMA}.deliveries
    (job_uid, recipient, channel, position, status, message_id, error)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (job_uid, recipient) DO NOTHING
"""  # noqa: S608

SELECT_KNOWN = f"""
SELECT job_uid, outcome <> 'Failed' OR log_tail IS NOT NULL
FROM {SCHEMA}.runs WHERE job_uid = ANY(%s)
"""  # noqa: S608

KEEP_LOG = f"""
UPDATE {SCHEMA}.runs SET log_tail = %s WHERE job_uid = %s AND log_tail IS NULL
"""  # noqa: S608

DELETE_OLD = f"""
DELETE FROM {SCHEMA}.runs WHERE job_uid = ANY(ARRAY(
    SELECT job_uid FROM {SCHEMA}.runs WHERE finished_at < %s ORDER BY finished_at LIMIT %s
))
"""  # noqa: S608

# The same roll-out as the newest one is not another; going back to an earlier one is.
INSERT_DEPLOYMENT = f"""
INSERT INTO {SCHEMA}.deployments (rolled_out_at, checksum, version, image, components)
SELECT %(at)s, %(checksum)s, %(version)s, %(image)s, %(components)s
WHERE %(checksum)s IS DISTINCT FROM (
    SELECT checksum FROM {SCHEMA}.deployments ORDER BY id DESC LIMIT 1
)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A record and its deliveries."""

    record: RunRecord
    deliveries: Sequence[DeliveryResult]


@dataclass(slots=True)
class HistoryWriter:
    """Every call raises HistoryUnavailableError."""

    database: Database

    async def prepare(self) -> None:
        """Create or update the schema."""
        try:
            conninfo = await self.database.conninfo()
        except psycopg.OperationalError as error:
            raise HistoryUnavailableError(one_line(error)) from error
        await asyncio.to_thread(migrate, conninfo)

    async def known(self, job_uids: Collection[str]) -> dict[str, bool]:
        """The stored uids, and whether each is complete: a failed run gets its log later."""
        async with self.database.transaction() as connection:
            cursor = await connection.execute(SELECT_KNOWN, (list(job_uids),))
            return dict(await cursor.fetchall())

    async def add(self, entries: Sequence[HistoryEntry]) -> None:
        """Store all of them or none. Also raises psycopg.DataError or IntegrityError."""
        deliveries = [
            (
                entry.record.job_uid, _text(item.recipient), _text(item.channel), number,
                item.status.value, _text(item.message_id), _text(item.error),
            )
            for entry in entries
            for number, item in enumerate(entry.deliveries)
        ]  # fmt: skip
        async with self.database.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(INSERT_RUN, [_parameters(entry.record) for entry in entries])
            if deliveries:
                await cursor.executemany(INSERT_DELIVERY, deliveries)

    async def add_log(self, job_uid: str, text: str) -> None:
        """The end of a failed run's log; the first one stored stays."""
        async with self.database.transaction() as connection:
            await connection.execute(KEEP_LOG, (_text(text), job_uid))

    async def delete_older(self, than: datetime, limit: int) -> int:
        """Delete at most `limit` of the oldest runs; returns how many."""
        async with self.database.transaction() as connection:
            return (await connection.execute(DELETE_OLD, (than, limit))).rowcount

    async def add_deployment(self, deployment: Deployment, now: datetime) -> None:
        """Store a roll-out, unless it is the newest one already."""
        async with self.database.transaction() as connection:
            await connection.execute(
                INSERT_DEPLOYMENT,
                {
                    "at": now,
                    "checksum": deployment.checksum,
                    "version": deployment.version,
                    "image": deployment.image,
                    "components": list(deployment.components),
                },
            )

    async def ping(self) -> None:
        """Raises HistoryUnavailableError where PostgreSQL does not answer."""
        async with self.database.transaction() as connection:
            await connection.execute("SELECT 1")


def _parameters(record: RunRecord) -> dict[str, Any]:
    values = {name: _text(getattr(record, name)) for name in COLUMNS}
    outputs = [{**asdict(item), "path": _text(item.path)} for item in record.outputs]
    return {**values, "outputs": Jsonb(outputs)}


def _text(value: Any) -> Any:
    """PostgreSQL stores every character except NUL."""
    return value.replace("\0", "") if isinstance(value, str) else value
