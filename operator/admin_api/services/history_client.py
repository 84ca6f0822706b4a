"""History as the API asks for it: what is kept, or why there is nothing to tell."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from admin_api.errors import RefusedError
from admin_api.schemas.jobs import Job, JobsQuery, JobStatus
from admin_api.services.cache import Snapshot
from admin_api.services.jobs import ScheduleSummary, job_of_record, merge_jobs, read_cursor, unknown
from report_operator.adapters.postgres.database import HistoryUnavailableError
from report_operator.adapters.postgres.reader import HistoryReader, PageQuery, StoredRun
from report_runner.contract.result import Outcome

logger = logging.getLogger(__name__)

T = TypeVar("T")

NOT_CONFIGURED = "PostgreSQL is not configured (postgresSecret)"
OUTCOMES = {JobStatus.SUCCEEDED: Outcome.SUCCEEDED, JobStatus.FAILED: Outcome.FAILED}


@dataclass(frozen=True, slots=True)
class HistoryClient:
    """Where history does not answer, this says so, and the caller goes on without it."""

    reader: HistoryReader | None = None

    async def ask(self, question: Awaitable[T] | None) -> tuple[T | None, list[str]]:
        """The answer, or None and what is missing. `question` is None without a reader."""
        if question is None:
            return None, [_lacking(NOT_CONFIGURED)]
        try:
            return await question, []
        except HistoryUnavailableError as error:
            logger.warning("history: %s", error)
            return None, [_lacking(f"PostgreSQL does not serve: {error}")]

    async def page(self, query: JobsQuery) -> tuple[list[Job], list[str]]:
        """The first `limit` + 1 that are kept. Raises RefusedError."""
        outcome = OUTCOMES.get(query.status) if query.status else None
        before = read_cursor(query.cursor) if query.cursor else None
        if query.status is not None and outcome is None:
            return [], []  # runs under way are not history
        asked = PageQuery(
            query.limit + 1, outcome, query.report_type, query.since, query.until, before
        )
        records, degraded = await self.ask(self.reader.page(asked) if self.reader else None)
        return [job_of_record(record) for record in records or ()], degraded

    async def find(self, identity: str) -> tuple[StoredRun | None, list[str]]:
        """The newest run of this id."""
        return await self.ask(self.reader.find(identity) if self.reader else None)

    async def attempts(self, schedule_uid: str, slot: datetime) -> list[Job]:
        """Those of a slot that are kept; none where history does not answer."""
        question = self.reader.attempts(schedule_uid, slot) if self.reader else None
        records, _ = await self.ask(question)
        return [job_of_record(record) for record in records or ()]

    async def with_slot(
        self, snapshot: Snapshot, schedule: ScheduleSummary, slot: datetime
    ) -> Snapshot:
        """The snapshot, and all attempts of one slot."""
        return _with(snapshot, await self.attempts(schedule.uid, slot))

    async def with_run(self, snapshot: Snapshot, identity: str) -> Snapshot:
        """The snapshot, and all attempts of a run's slot. Raises RefusedError.

        Whether there is such a run is not certain while history does not answer.
        """
        live = next((job for job in snapshot.jobs if job.id == identity), None)
        if live is not None:
            return _with(snapshot, await self.attempts(snapshot.uid_of(live), live.slot))
        kept, degraded = await self.find(identity)
        if kept is None:
            raise self.not_found(degraded, identity)
        attempts = await self.attempts(kept.record.schedule_uid, kept.record.slot)
        return _with(snapshot, [job_of_record(kept.record), *attempts])

    def not_found(self, degraded: Sequence[str], identity: str) -> RefusedError:
        """Of a run that nobody knows."""
        if self.reader is not None and degraded:
            return RefusedError(503, f"no job {identity} is under way or recent; {degraded[0]}")
        return unknown(identity)


def _with(snapshot: Snapshot, kept: Sequence[Job]) -> Snapshot:
    return replace(snapshot, jobs=merge_jobs(snapshot.jobs, kept))


def _lacking(why: str) -> str:
    return f"history: only what the schedules' status remembers is told: {why}"
