"""Writes outcomes from status into history, in the background: nothing waits for PostgreSQL.

Only the fact that a schedule has outcomes to record is held in memory, not the records: while
PostgreSQL is down the outcomes stay in status and the Jobs in the cluster, and both are read
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import psycopg

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.resources import PODS
from report_operator.adapters.kube.store import Store
from report_operator.adapters.postgres.database import (
    HistoryCorruptedError,
    HistoryUnavailableError,
    one_line,
)
from report_operator.adapters.postgres.writer import HistoryEntry, HistoryWriter
from report_operator.api.v1alpha1.resource import PLURAL, Key, parse_status
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.controllers.witnesses import Witnesses
from report_operator.domain import names
from report_operator.domain.deployment import Deployment
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.record import LOG_LINES, Owner, deliveries_of, log_tail, record_of
from report_operator.domain.runs.run import Run
from report_operator.domain.runs.spans import about_entry, about_identity
from report_operator.metrics import Metrics
from report_runner.contract.result import Outcome

logger = logging.getLogger(__name__)

DEPENDENCY = "postgres"
BATCH = 50  # schedules in one transaction
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 10.0
ASK_SECONDS = 15.0  # between pings while there is nothing to record
LOG_SECONDS = 5.0  # for the log of one run
LOGS_AT_ONCE = 8
LOGS_WAITING = 1000  # beyond that, a failed run is recorded without its log
PRUNE_BATCH, PRUNE_PAUSE_SECONDS, PRUNE_SECONDS = 5000, 0.5, 3600.0


@dataclass(frozen=True, slots=True)
class _PendingSchedule:
    owner: Owner
    status: bytes  # JSON
    runs: Mapping[str, Run]  # by uid; also those whose Job goes at once
    waiting: int  # outcomes to record


@dataclass(frozen=True, slots=True)
class _PendingLog:
    owner: Owner
    entry: RecentRun
    pod: str


@dataclass(slots=True)
class HistoryArchiver:
    """Writes with HistoryWriter; a schedule is enqueued when Jobs of it may be pruned."""

    writer: HistoryWriter
    kube: KubeClient
    store: Store
    metrics: Metrics
    clock: Callable[[], datetime]
    enqueue_schedule: Callable[[Key], None]
    deployment: Deployment
    retention: timedelta | None
    _pending: dict[str, _PendingSchedule] = field(default_factory=dict)  # by the schedule's uid
    _stored: dict[str, set[str]] = field(default_factory=dict)  # Job uids, by schedule uid
    # What PostgreSQL does not take, or nobody can read: Job uids by the schedule's uid.
    _refused: dict[str, set[str]] = field(default_factory=dict)
    _logs: dict[str, _PendingLog] = field(default_factory=dict)  # by Job uid
    _witnesses: Witnesses = field(default_factory=Witnesses)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _logs_changed: asyncio.Event = field(default_factory=asyncio.Event)
    _prepared: asyncio.Event = field(default_factory=asyncio.Event)

    def pending(self, schedule_uid: str, job_uids: Sequence[str]) -> set[str]:
        return set(job_uids) - self._stored.get(schedule_uid, set())

    def enqueue(
        self, body: Mapping[str, Any], recent: Sequence[RecentRun], runs: Sequence[Run]
    ) -> None:
        """It may be held for hours, so it is kept small."""
        uid = body["metadata"]["uid"]
        known = self._stored.get(uid)
        if known is not None:
            known &= {entry.uid for entry in recent} | {run.uid for run in runs}
        missing = self.pending(uid, [entry.uid for entry in recent]) - self._logs.keys()
        if not missing:
            return
        earlier = self._pending.get(uid)
        by_uid = dict(earlier.runs) if earlier else {}
        by_uid |= {run.uid: run for run in runs}
        kept = {job_uid: run for job_uid, run in by_uid.items() if job_uid in missing}
        status = orjson.dumps(body.get("status") or {})
        self._pending[uid] = _PendingSchedule(_owner(body), status, kept, len(missing))
        self._changed.set()

    async def run(self) -> None:
        self.metrics.history_pending(lambda: sum(item.waiting for item in self._pending.values()))
        self.metrics.history_refused(lambda: sum(map(len, self._refused.values())))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._with_backoff(self._record_loop))
            group.create_task(self._with_backoff(self._store_logs_loop))
            group.create_task(self._with_backoff(self._prune_loop))

    async def _with_backoff(self, work: Callable[[], Awaitable[None]]) -> None:
        """Returns when `work` does; retries it, slower each time, without PostgreSQL."""
        delay = FIRST_RETRY_SECONDS
        while True:
            since = self.clock()
            try:
                return await work()
            except HistoryUnavailableError as error:
                self.metrics.dependency(DEPENDENCY, up=False)
                if isinstance(error, HistoryCorruptedError):
                    self.metrics.history_corrupted()
                why: Exception = error
            except (psycopg.Error, *API_ERRORS) as error:
                why = error
            if self.clock() - since > timedelta(seconds=LAST_RETRY_SECONDS):
                delay = FIRST_RETRY_SECONDS  # it worked for a while
            logger.warning("history: again in %.1f s: %s", delay, why or type(why).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)

    # -- outcomes ---------------------------------------------------------------------------

    async def _record_loop(self) -> None:
        # Also after an outage: the database may be another one by then, an empty one even.
        await self.writer.prepare()
        await self.writer.add_deployment(self.deployment, self.clock())
        self._prepared.set()
        while True:
            await self._check_witnesses()
            self.metrics.dependency(DEPENDENCY, up=True)
            while self._pending:
                await self._record_batch()
                await self._check_witnesses()
            self._changed.clear()
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                self._forget_deleted()

    async def _check_witnesses(self) -> None:
        """Records again what is told by status and Jobs, where an older database was restored.

        Also asks whether PostgreSQL answers at all.
        """
        missing = self._witnesses.missing(await self.writer.known(self._witnesses.uids))
        if not missing:
            return
        logger.warning(
            "history lacks %d of the newest runs that were recorded, as after a restore: what "
            "status and Jobs tell is recorded again",
            len(missing),
        )
        self._witnesses.clear()
        self._stored.clear()
        for key in list(self.store.schedules):
            self.enqueue_schedule(key)

    def _forget_deleted(self) -> None:
        known = self._stored.keys() | self._refused.keys()
        for uid in known - self.store.uids(PLURAL) - self._pending.keys():
            self._stored.pop(uid, None)
            self._refused.pop(uid, None)

    async def _record_batch(self) -> None:
        """Records all pending outcomes of some schedules."""
        batch = dict(islice(self._pending.items(), BATCH))
        pending: dict[str, list[RecentRun]] = {}
        for uid, item in batch.items():
            try:
                pending[uid] = self._to_record(uid, item)
            except Exception as error:  # noqa: BLE001  (one schedule stops no other)
                self._give_up(uid, item, error)
        known = await self.writer.known([e.uid for entries in pending.values() for e in entries])
        new: list[HistoryEntry] = []
        unreadable: set[str] = set()
        logs: dict[str, _PendingLog] = {}
        for uid, entries in pending.items():
            item = batch[uid]
            owner = item.owner
            for entry in entries:
                if known.get(entry.uid, False):
                    continue
                run = item.runs.get(entry.uid)
                pods = await self._pods(run) if run else []
                try:
                    record = HistoryEntry(record_of(owner, entry, run, pods), deliveries_of(pods))
                except Exception as error:  # noqa: BLE001  (one outcome stops no other)
                    extra = about_entry(owner.namespace, owner.name, entry)
                    logger.error(  # noqa: TRY400
                        "history: %s is left out: %r", entry.job, error, extra=extra
                    )
                    unreadable.add(entry.uid)
                    continue
                if entry.uid not in known:
                    new.append(record)
                if entry.outcome is Outcome.FAILED and pods:
                    logs[entry.uid] = _PendingLog(owner, entry, pods[-1].name)
        refused = await self._add(new) | unreadable
        for job_uid in logs.keys() - refused:
            if len(self._logs) < LOGS_WAITING:
                self._logs[job_uid] = logs[job_uid]
        self._logs_changed.set()
        for uid, item in batch.items():
            if uid not in pending:
                continue
            if self._pending.get(uid) is item:  # else it has changed meanwhile
                del self._pending[uid]
            entries_of = {entry.uid for entry in pending[uid]}
            self._refused[uid] = entries_of & refused
            done = entries_of - refused - self._logs.keys()
            self._witnesses.note({e.uid: e.finished_at for e in pending[uid] if e.uid in done})
            self._mark_stored(item.owner, done)

    def _give_up(self, uid: str, item: _PendingSchedule, error: Exception) -> None:
        """Until the schedule changes; its Jobs stay until then."""
        owner = item.owner
        logger.error(
            "history: the outcomes of %s/%s cannot be read: %r", owner.namespace, owner.name, error
        )
        self._refused[uid] = {uid}  # how many outcomes it has cannot be read
        del self._pending[uid]

    def _to_record(self, uid: str, item: _PendingSchedule) -> list[RecentRun]:
        """Outcomes to record, without those that retention would delete at once."""
        found = parse_status({"status": orjson.loads(item.status)}).recent_runs
        if self.retention is not None:
            oldest = self.clock() - self.retention
            old = {entry.uid for entry in found if entry.finished_at < oldest}
            self._stored.setdefault(uid, set()).update(old)
        missing = self.pending(uid, [entry.uid for entry in found]) - self._logs.keys()
        return [entry for entry in found if entry.uid in missing]

    def _mark_stored(self, owner: Owner, job_uids: set[str]) -> None:
        """Their Jobs may be pruned."""
        if job_uids:
            self._stored.setdefault(owner.uid, set()).update(job_uids)
            self.enqueue_schedule(Key(owner.namespace, owner.name))

    async def _add(self, entries: Sequence[HistoryEntry]) -> set[str]:
        """Returns the uids of those that PostgreSQL refuses because of their content."""
        if not entries:
            return set()
        try:
            await self.writer.add(entries)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(entries) == 1:
                record = entries[0].record
                why = error.diag.message_primary or one_line(error)  # without the row's values
                extra = about_identity(record.identity)
                logger.error(  # noqa: TRY400
                    "history: %s is refused: %s", record.job_id, why, extra=extra
                )
                return {record.job_uid}
            refused: set[str] = set()
            for entry in entries:
                refused |= await self._add([entry])
            return refused
        return set()

    async def _pods(self, run: Run) -> list[Pod]:
        """The pods of a run, listed where the watch has not shown their end."""
        pods = self.store.pods_of(run)
        if not run.finished or any(pod.ended for pod in pods):
            return pods
        labels = f"{names.LABEL_JOB_UID}={run.uid}"
        for body in await self.kube.list(PODS, run.namespace, labels=labels):
            self.store.observe_pod(body)
        return self.store.pods_of(run)

    # -- logs -------------------------------------------------------------------------------

    async def _store_logs_loop(self) -> None:
        await self._prepared.wait()
        while True:
            while self._logs:
                batch = list(islice(self._logs.values(), LOGS_AT_ONCE))
                texts = await asyncio.gather(*(self._tail(pending) for pending in batch))
                for pending, text in zip(batch, texts, strict=True):
                    await self.writer.add_log(pending.entry.uid, text)
                    del self._logs[pending.entry.uid]
                    self._mark_stored(pending.owner, {pending.entry.uid})
            self._logs_changed.clear()
            await self._logs_changed.wait()

    async def _tail(self, pending: _PendingLog) -> str:
        """The end of the log; '' where it could not be read."""
        try:
            async with asyncio.timeout(LOG_SECONDS):
                lines = await self.kube.log_tail(pending.owner.namespace, pending.pod, LOG_LINES)
        except API_ERRORS as error:
            owner = pending.owner
            logger.info(
                "the log of %s was not kept: %s",
                pending.pod,
                error or "no answer in time",
                extra=about_entry(owner.namespace, owner.name, pending.entry),
            )
            return ""
        return log_tail(lines)

    # -- retention --------------------------------------------------------------------------

    async def _prune_loop(self) -> None:
        await self._prepared.wait()
        while self.retention is not None:
            deleted = await self.writer.delete_older(self.clock() - self.retention, PRUNE_BATCH)
            await asyncio.sleep(PRUNE_PAUSE_SECONDS if deleted == PRUNE_BATCH else PRUNE_SECONDS)


def _owner(body: Mapping[str, Any]) -> Owner:
    meta, spec = body["metadata"], body["spec"]
    return Owner(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        report_type=spec.get("reportType", ""),
        tier=spec.get("tier", "standard"),
    )
