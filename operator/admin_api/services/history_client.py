"""Queries of the history database, which the API can do without."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from admin_api.errors import RefusedError
from admin_api.schemas.jobs import Job, JobsQuery
from admin_api.services.cache import Snapshot
from admin_api.services.job_lists import merge_jobs, read_cursor, unknown_job
from admin_api.services.jobs import OUTCOMES, ScheduleSummary, job_of_record
from report_operator.adapters.postgres.database import HistoryUnavailableError
from report_operator.adapters.postgres.reader import HistoryReader, PageQuery, StoredRun

logger = logging.getLogger(__name__)

T = TypeVar("T")

NOT_CONFIGURED = "PostgreSQL is not configured (postgresSecret)"


@dataclass(frozen=True, slots=True)
class HistoryClient:
    """Where history is unavailable, answers are empty and come with a note for `degraded`."""

    reader: HistoryReader | None = None

    async def query(self, query: Awaitable[T] | None) -> tuple[T | None, list[str]]:
        """The answer, or None and a note. `query` is None where history is not configured."""
        if query is None:
            return None, [_note(NOT_CONFIGURED)]
        try:
            return await query, []
        except HistoryUnavailableError as error:
            logger.warning("history: %s", error)
            return None, [_note(f"PostgreSQL does not serve: {error}")]

    async def page(self, query: JobsQuery) -> tuple[list[Job], list[str]]:
        """The first `limit` + 1 stored runs. Raises RefusedError."""
        outcome = OUTCOMES.get(query.status) if query.status else None
        before = read_cursor(query.cursor) if query.cursor else None
        if query.status is not None and outcome is None:
            return [], []  # runs under way are not history
        page_query = PageQuery(
            query.limit + 1,
            outcome,
            query.report_type,
            query.since,
            query.until,
            before,
            query.namespace,
            query.schedule,
        )
        records, degraded = await self.query(self.reader.page(page_query) if self.reader else None)
        return [job_of_record(record) for record in records or ()], degraded

    async def find(self, identity: str) -> tuple[StoredRun | None, list[str]]:
        """The newest stored run of this id."""
        return await self.query(self.reader.find(identity) if self.reader else None)

    async def attempts(self, schedule_uid: str, slot: datetime) -> list[Job]:
        """Stored attempts of a slot; none where history is unavailable."""
        query = self.reader.attempts(schedule_uid, slot) if self.reader else None
        records, _ = await self.query(query)
        return [job_of_record(record) for record in records or ()]

    async def with_slot(
        self, snapshot: Snapshot, schedule: ScheduleSummary, slot: datetime
    ) -> Snapshot:
        """The snapshot with the stored attempts of one slot."""
        return _with(snapshot, await self.attempts(schedule.uid, slot))

    async def with_run(self, snapshot: Snapshot, identity: str) -> Snapshot:
        """The snapshot with the stored attempts of a run's slot.

        Raises RefusedError: with 404 for an unknown run, with 503 while history cannot tell.
        """
        live = next((job for job in snapshot.jobs if job.id == identity), None)
        if live is not None:
            return _with(snapshot, await self.attempts(snapshot.uid_of(live), live.slot))
        stored, degraded = await self.find(identity)
        if stored is None:
            raise self.not_found(degraded, identity)
        attempts = await self.attempts(stored.record.schedule_uid, stored.record.slot)
        return _with(snapshot, [job_of_record(stored.record), *attempts])

    def not_found(self, degraded: Sequence[str], identity: str) -> RefusedError:
        """404, or 503 while history is unavailable."""
        if self.reader is not None and degraded:
            return RefusedError(503, f"no job {identity} is under way or recent; {degraded[0]}")
        return unknown_job(identity)


def _with(snapshot: Snapshot, stored: Sequence[Job]) -> Snapshot:
    return replace(snapshot, jobs=merge_jobs(snapshot.jobs, stored))


def _note(reason: str) -> str:
    return f"history: only runs that the schedules' status remembers are shown: {reason}"
