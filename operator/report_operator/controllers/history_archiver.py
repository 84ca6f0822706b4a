"""Takes outcomes from status into history, in the background: nothing waits for PostgreSQL.

What is kept in memory is which schedules have outcomes to record, not the records: while
PostgreSQL is down the outcomes stay in status and the Jobs in the cluster, and both are looked
at again.
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
from report_operator.adapters.postgres.database import HistoryUnavailableError, one_line
from report_operator.adapters.postgres.writer import HistoryEntry, HistoryWriter
from report_operator.api.v1alpha1.resource import PLURAL, Key, parse_status
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain import names
from report_operator.domain.deployment import Deployment
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.record import LOG_LINES, Owner, deliveries_of, log_tail, record_of
from report_operator.domain.runs.run import Run
from report_operator.metrics import Metrics
from report_runner.contract.result import Outcome

logger = logging.getLogger(__name__)

DEPENDENCY = "postgres"
BATCH = 50  # schedules in one transaction
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 10.0
ASK_SECONDS = 15.0  # without anything to record: whether it still answers
LOG_SECONDS = 5.0  # for the log of one run
LOGS_AT_ONCE = 8
LOGS_WAITING = 1000  # beyond, a failed run is recorded without its log
PRUNE_BATCH, PRUNE_PAUSE_SECONDS, PRUNE_SECONDS = 5000, 0.5, 3600.0


@dataclass(frozen=True, slots=True)
class _Offer:
    owner: Owner
    status: bytes  # JSON
    runs: Mapping[str, Run]  # by uid; also those whose Job goes at once
    waiting: int  # outcomes to record


@dataclass(frozen=True, slots=True)
class _LogWanted:
    owner: Owner
    job_uid: str
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
    _offers: dict[str, _Offer] = field(default_factory=dict)  # by the schedule's uid
    _recorded: dict[str, set[str]] = field(default_factory=dict)  # Job uids, by schedule uid
    _logs: dict[str, _LogWanted] = field(default_factory=dict)  # by Job uid
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _log_news: asyncio.Event = field(default_factory=asyncio.Event)
    _prepared: asyncio.Event = field(default_factory=asyncio.Event)

    def pending(self, schedule_uid: str, job_uids: Sequence[str]) -> set[str]:
        """See History."""
        return set(job_uids) - self._recorded.get(schedule_uid, set())

    def enqueue(
        self, body: Mapping[str, Any], recent: Sequence[RecentRun], runs: Sequence[Run]
    ) -> None:
        """See History. It may be kept for hours, so it is kept small."""
        uid = body["metadata"]["uid"]
        known = self._recorded.get(uid)
        if known is not None:
            known &= {entry.uid for entry in recent} | {run.uid for run in runs}
        missing = self.pending(uid, [entry.uid for entry in recent]) - self._logs.keys()
        if not missing:
            return
        earlier = self._offers.get(uid)
        by_uid = dict(earlier.runs) if earlier else {}
        by_uid |= {run.uid: run for run in runs}
        kept = {job_uid: run for job_uid, run in by_uid.items() if job_uid in missing}
        status = orjson.dumps(body.get("status") or {})
        self._offers[uid] = _Offer(_owner(body), status, kept, len(missing))
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        self.metrics.history_pending(lambda: sum(offer.waiting for offer in self._offers.values()))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._with_backoff(self._record_loop))
            group.create_task(self._with_backoff(self._store_logs_loop))
            group.create_task(self._with_backoff(self._prune_loop))

    async def _with_backoff(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it is done; again, slower each time, while PostgreSQL is not available."""
        delay = FIRST_RETRY_SECONDS
        while True:
            since = self.clock()
            try:
                return await work()
            except HistoryUnavailableError as error:
                self.metrics.dependency(DEPENDENCY, up=False)
                why: Exception = error
            except (psycopg.Error, *API_ERRORS) as error:
                why = error
            if self.clock() - since > timedelta(seconds=LAST_RETRY_SECONDS):
                delay = FIRST_RETRY_SECONDS  # it did work for a while
            logger.warning("history: again in %.1f s: %s", delay, why or type(why).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)

    # -- outcomes ---------------------------------------------------------------------------

    async def _record_loop(self) -> None:
        if not self._prepared.is_set():
            await self.writer.prepare()
            await self.writer.add_deployment(self.deployment, self.clock())
            self._prepared.set()
        await self.writer.ping()
        while True:
            self.metrics.dependency(DEPENDENCY, up=True)
            while self._offers:
                await self._record_batch()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), ASK_SECONDS)
            except TimeoutError:
                await self.writer.ping()
                self._tidy()

    def _tidy(self) -> None:
        """Forget schedules that are gone."""
        for uid in self._recorded.keys() - self.store.uids(PLURAL) - self._offers.keys():
            del self._recorded[uid]

    async def _record_batch(self) -> None:
        """Of some schedules all that is not recorded yet."""
        batch = dict(islice(self._offers.items(), BATCH))
        wanted: dict[str, list[RecentRun]] = {}
        for uid, offer in batch.items():
            try:
                wanted[uid] = self._missing(uid, offer)
            except Exception as error:  # noqa: BLE001  (one schedule stops no other)
                self._give_up(uid, offer, error)
        known = await self.writer.known([e.uid for entries in wanted.values() for e in entries])
        new: list[HistoryEntry] = []
        broken: set[str] = set()
        logs: dict[str, _LogWanted] = {}
        for uid, entries in wanted.items():
            offer = batch[uid]
            owner = offer.owner
            for entry in entries:
                if known.get(entry.uid, False):
                    continue
                run = offer.runs.get(entry.uid)
                pods = await self._pods(run) if run else []
                try:
                    record = HistoryEntry(record_of(owner, entry, run, pods), deliveries_of(pods))
                except Exception as error:  # noqa: BLE001  (one outcome stops no other)
                    logger.error("history: %s is left out: %r", entry.job, error)  # noqa: TRY400
                    broken.add(entry.uid)
                    continue
                if entry.uid not in known:
                    new.append(record)
                if entry.outcome is Outcome.FAILED and pods:
                    logs[entry.uid] = _LogWanted(owner, entry.uid, pods[-1].name)
        refused = await self._add(new) | broken
        for job_uid in logs.keys() - refused:
            if len(self._logs) < LOGS_WAITING:
                self._logs[job_uid] = logs[job_uid]
        self._log_news.set()
        for uid, offer in batch.items():
            if uid not in wanted:
                continue
            if self._offers.get(uid) is offer:  # else there is news of it already
                del self._offers[uid]
            done = {entry.uid for entry in wanted[uid]} - refused - self._logs.keys()
            self._note(offer.owner, done)

    def _give_up(self, uid: str, offer: _Offer, error: Exception) -> None:
        """Until there is news of the schedule; its Jobs stay until then."""
        owner = offer.owner
        logger.error(
            "history: the outcomes of %s/%s cannot be read: %r", owner.namespace, owner.name, error
        )
        del self._offers[uid]

    def _missing(self, uid: str, offer: _Offer) -> list[RecentRun]:
        """Outcomes to record; not those that retention would delete at once."""
        found = parse_status({"status": orjson.loads(offer.status)}).recent_runs
        if self.retention is not None:
            oldest = self.clock() - self.retention
            old = {entry.uid for entry in found if entry.finished_at < oldest}
            self._recorded.setdefault(uid, set()).update(old)
        missing = self.pending(uid, [entry.uid for entry in found]) - self._logs.keys()
        return [entry for entry in found if entry.uid in missing]

    def _note(self, owner: Owner, job_uids: set[str]) -> None:
        """They are recorded: their Jobs may go."""
        if job_uids:
            self._recorded.setdefault(owner.uid, set()).update(job_uids)
            self.enqueue_schedule(Key(owner.namespace, owner.name))

    async def _add(self, entries: Sequence[HistoryEntry]) -> set[str]:
        """Record them; the uids of those that PostgreSQL refuses for what they say."""
        if not entries:
            return set()
        try:
            await self.writer.add(entries)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(entries) == 1:
                record = entries[0].record
                why = error.diag.message_primary or one_line(error)  # without the row's values
                logger.error("history: %s is refused: %s", record.job_id, why)  # noqa: TRY400
                return {record.job_uid}
            refused: set[str] = set()
            for entry in entries:
                refused |= await self._add([entry])
            return refused
        return set()

    async def _pods(self, run: Run) -> list[Pod]:
        """The pods of a run, asked for where the watch has not told of their end."""
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
                some = list(islice(self._logs.values(), LOGS_AT_ONCE))
                texts = await asyncio.gather(*(self._tail(wanted) for wanted in some))
                for wanted, text in zip(some, texts, strict=True):
                    await self.writer.keep_log(wanted.job_uid, text)
                    del self._logs[wanted.job_uid]
                    self._note(wanted.owner, {wanted.job_uid})
            self._log_news.clear()
            await self._log_news.wait()

    async def _tail(self, wanted: _LogWanted) -> str:
        """The end of the log; what kept it from being read where something did."""
        try:
            async with asyncio.timeout(LOG_SECONDS):
                lines = await self.kube.log_tail(wanted.owner.namespace, wanted.pod, LOG_LINES)
        except API_ERRORS as error:
            logger.info("the log of %s was not kept: %s", wanted.pod, error or "no answer in time")
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
