"""The running operator: queues, resync, kopf's watch streams, and their end."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import kopf

from report_operator import handlers
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.past_runs import StoredPastRuns
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.skipped import SkippedObject
from report_operator.adapters.kube.store import Store
from report_operator.adapters.kube.workqueue import WorkQueue
from report_operator.adapters.postgres.database import Database
from report_operator.adapters.postgres.past_runs import PostgresPastRuns
from report_operator.adapters.postgres.writer import HistoryWriter
from report_operator.adapters.redis.lists import RedisLists
from report_operator.adapters.template_checks import TemplateChecks
from report_operator.api.v1alpha1.resource import Key
from report_operator.config import OperatorConfig
from report_operator.controllers.admission import AdmissionController
from report_operator.controllers.backfill import BackfillController
from report_operator.controllers.backfill_observe import BackfillObserver
from report_operator.controllers.definitions import Definitions
from report_operator.controllers.history_archiver import HistoryArchiver, NoArchive
from report_operator.controllers.observe import ScheduleObserver
from report_operator.controllers.owned_resources import OwnedResources
from report_operator.controllers.redis_mirror import RedisMirror
from report_operator.controllers.resync import Resync, WatchBlindError
from report_operator.controllers.schedule import ScheduleController
from report_operator.domain.deployment import describe_deployment
from report_operator.domain.names import FIELD_MANAGER
from report_operator.domain.runs.deadlines import StartLimits
from report_operator.domain.runs.history import PastRuns
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.schedules.decision import ScheduleLimits
from report_operator.domain.schedules.transitions import WARNING, Transition
from report_operator.metrics import Metrics

logger = logging.getLogger(__name__)

DISTRIBUTION = "adaf-report-scheduler"
HISTORY_CONNECTIONS = 4  # outcomes, logs, retention, and who asks for past runs
HISTORY_STATEMENT_SECONDS = 30.0
BACKFILL_WORKERS = 2
LONGEST_REST_SECONDS = 0.5  # between two passes of admission
FINISH_SECONDS = 5.0  # at a stop, for what is in hand
UNWATCH_SECONDS = 5.0
SKIPPED_EVENTS_WAITING = 500  # Events; the log names the objects in any case
STALE_RESYNCS = 4  # resyncs that may fail before the process counts as hung


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def take_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


@dataclass(slots=True)
class ReportOperator:
    """One operator; `run` is called while the Lease is held."""

    kube: KubeClient
    config: OperatorConfig
    identity: str
    namespace: str  # its own
    store: Store = field(default_factory=Store)
    metrics: Metrics = field(init=False)
    last_resync: datetime | None = None
    resyncs: int = 0
    started: datetime | None = None
    _cache_synced: asyncio.Event = field(default_factory=asyncio.Event)  # the first resync is over
    _schedules: WorkQueue[Key] = field(init=False)
    _backfills: WorkQueue[Key] = field(init=False)
    _admission: WorkQueue[str] = field(init=False)
    _gate: AdmissionController = field(init=False)
    _reconciler: ScheduleController = field(init=False)
    _backfiller: BackfillController = field(init=False)
    _resync: Resync = field(init=False)
    _templates: TemplateChecks = field(default_factory=TemplateChecks)
    _recorder: Recorder = field(init=False)
    _lists: RedisMirror = field(init=False)
    _history_database: Database | None = field(init=False, default=None)
    _historian: HistoryArchiver | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        config, kube, store = self.config, self.kube, self.store
        self._recorder = Recorder(kube, self.identity)
        self.metrics = Metrics(
            lambda: list(self._reconciler.views.values()),
            lambda: list(self._backfiller.views.values()),
            kube.writes,
            store.skipped.counts,
        )
        store.skipped.tell = self._tell_skipped
        definitions = Definitions(kube)
        self._resync = Resync(kube, store, config.watched, utc_now, definitions)
        owned_resources = OwnedResources(
            kube,
            store,
            config.runner.pod_settings(),
            config.secret_allowed,
            definitions,
            self._recorder,
            self._templates,
            config.admission_limits().of,
        )
        self._gate = AdmissionController(
            kube,
            store,
            config.admission_limits(),
            timedelta(seconds=config.admission.start_grace_seconds),
            utc_now,
        )
        self.metrics.follow_admission(self._gate.queue, lambda: self._gate.refusals)
        past: list[PastRuns] = [StoredPastRuns(store)]
        if config.postgres_secret is not None:
            self._history_database, self._historian = self._make_historian(config.postgres_secret)
            past.append(PostgresPastRuns(self._history_database))
        self._backfiller = BackfillController(
            kube, store, self._recorder, BackfillObserver(store, past), utc_now
        )
        history = self._historian or NoArchive()
        self._reconciler = ScheduleController(
            kube=kube,
            store=store,
            owned_resources=owned_resources,
            observer=ScheduleObserver(kube, store, self._recorder, history, self._gate.waits_for),
            recorder=self._recorder,
            metrics=self.metrics,
            limits=ScheduleLimits(
                StartLimits(
                    timedelta(seconds=config.startup_deadline_seconds),
                    timedelta(seconds=config.queue_timeout_seconds),
                ),
                HistoryLimits(
                    config.history.keep_succeeded_jobs,
                    config.history.keep_failed_jobs,
                    config.history.keep_outcomes,
                ),
            ),
            history=history,
            clock=utc_now,
        )
        self._lists = RedisMirror(
            kube=kube,
            store=store,
            metrics=self.metrics,
            redis=RedisLists(config.redis_secret) if config.redis_secret else None,
            namespace=self.namespace,
            lease=config.lease_name,
            queue=self._gate.queue,
        )
        self._schedules = WorkQueue(self._reconcile, config.workers)
        self._backfills = WorkQueue(self._backfill, BACKFILL_WORKERS)
        self._admission = WorkQueue(self._admit, workers=1)

    def changed(self, key: Key) -> None:
        """Something about the schedule changed."""
        self._schedules.add(key)

    def enqueue_backfill(self, key: Key) -> None:
        """Something about the backfill changed."""
        self._backfills.add(key)

    def enqueue_admission(self) -> None:
        """Runs came, went or ended: the next may be admitted."""
        self._admission.add("admission")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, or something essential ends: then its error is raised."""
        self.started = utc_now()
        tasks = [
            asyncio.create_task(self._after_cache_sync(self._schedules.run), name="schedules"),
            asyncio.create_task(self._after_cache_sync(self._backfills.run), name="backfills"),
            asyncio.create_task(self._after_cache_sync(self._admission.run), name="admission"),
            asyncio.create_task(self._after_cache_sync(self._lists.run), name="lists"),
            asyncio.create_task(self._recorder.run(), name="events"),
            asyncio.create_task(self._resync_loop(), name="resync"),
            asyncio.create_task(self._watch(stop), name="watch"),
        ]
        if self._historian is not None:
            tasks.insert(0, asyncio.create_task(self._keep_history(), name="history"))
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task.done()]
            if stop.is_set():
                ended = []  # that was asked for
                await self._finish()
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await self._templates.close()
        for task in ended:
            task.result()
            raise RuntimeError(f"the task {task.get_name()} ended by itself")

    async def _finish(self) -> None:
        """What is being written is written."""
        queues = (self._schedules, self._backfills, self._admission)
        await asyncio.gather(*(queue.finish(FINISH_SECONDS) for queue in queues))
        await self._recorder.finish(FINISH_SECONDS)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """For /healthz: a standby is well; a leader is, while its resyncs succeed."""
        details: dict[str, Any] = {"leading": self.started is not None, "identity": self.identity}
        if self.started is None:
            return True, details
        age = (utc_now() - (self.last_resync or self.started)).total_seconds()
        details["lastResyncAgeSeconds"] = round(age, 1)
        details["resyncs"] = self.resyncs
        details["schedules"] = len(self.store.schedules)
        details["queue"] = self._schedules.depth
        details["skipped"] = dict(self.store.skipped.counts())
        details["skippedNewest"] = self.store.skipped.summary()
        return age < STALE_RESYNCS * self.config.resync_seconds + 60, details

    def _tell_skipped(self, skipped: SkippedObject, body: Mapping[str, Any]) -> None:
        """An Event on the object, unless so many wait that those of others would be late."""
        known = body.get("apiVersion"), body.get("kind")
        if None in known or "?" in (skipped.namespace, skipped.name, skipped.uid):
            return
        if self._recorder.waiting >= SKIPPED_EVENTS_WAITING:
            return
        event = Transition(WARNING, "Skipped", skipped.reason, utc_now(), skipped.reason)
        self._recorder.record(body, event)

    async def _after_cache_sync(self, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing is decided on part of the truth: a gate that sees few Jobs admits too many."""
        await self._cache_synced.wait()
        await work()

    async def _reconcile(self, key: Key) -> None:
        again = await self._reconciler.reconcile(key)
        if again is not None:
            self._schedules.add_after(key, again.total_seconds() + 0.05)
        for waiting in self.store.backfills_waiting_for(key):
            self._backfills.add(waiting)

    async def _admit(self, key: str) -> None:
        begun = time.monotonic()
        again = await self._gate.admit()
        # A flood of Jobs makes a pass long, and each of them asks for one: others get their turn.
        await asyncio.sleep(min(time.monotonic() - begun, LONGEST_REST_SECONDS))
        if again is not None:
            self._admission.add_after(key, again.total_seconds())

    async def _backfill(self, key: Key) -> None:
        again = await self._backfiller.reconcile(key)
        if again is not None:
            self._backfills.add_after(key, again.total_seconds())

    def _make_historian(self, secret: Path) -> tuple[Database, HistoryArchiver]:
        config = self.config
        days = config.history.retention_days
        database = Database(secret, FIELD_MANAGER, HISTORY_CONNECTIONS, HISTORY_STATEMENT_SECONDS)
        return database, HistoryArchiver(
            writer=HistoryWriter(database),
            kube=self.kube,
            store=self.store,
            metrics=self.metrics,
            clock=utc_now,
            changed=self.changed,
            deployment=describe_deployment(
                version(DISTRIBUTION), config.runner.image, config.model_dump(mode="json")
            ),
            retention=timedelta(days=days) if days else None,
        )

    async def _keep_history(self) -> None:
        if self._history_database is not None and self._historian is not None:
            async with self._history_database:
                await self._historian.run()

    async def _watch(self, stop: asyncio.Event) -> None:
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        handlers.register(registry, self.store, self)
        handlers.configure(settings)
        watching = await kopf.spawn_tasks(
            registry=registry,
            settings=settings,
            namespaces=self.config.watch_namespaces,
            clusterwide=self.config.watch_all_namespaces,
            standalone=True,
        )
        # kopf has taken them. And its own `run_tasks` would, at the end, cancel all tasks that
        # are younger than itself, whoever made them.
        take_signals(stop)
        try:
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching, timeout=UNWATCH_SECONDS)

    async def _after_failed_resync(self) -> None:
        self.metrics.resynced(utc_now(), up=False)
        await asyncio.sleep(min(5.0, self.config.resync_seconds))

    async def _resync_loop(self) -> None:
        while True:
            try:
                for key in await self._resync.run():
                    self._schedules.add(key)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
                logger.warning("resync: %s", error or type(error).__name__)
                await self._after_failed_resync()
                continue
            except WatchBlindError:
                raise
            except Exception:
                # The liveness probe sees that no resync succeeds: an end here would be no better.
                logger.exception("resync")
                await self._after_failed_resync()
                continue
            self.last_resync = utc_now()
            self.resyncs += 1
            self._cache_synced.set()
            self.metrics.resynced(self.last_resync, up=True)
            self.enqueue_admission()
            spread = self.config.resync_seconds / 2
            for key in list(self.store.schedules):
                self._schedules.add_after(key, random.uniform(0, spread))  # noqa: S311
            for key in self._backfiller.known():
                self._backfills.add(key)
            await asyncio.sleep(self.config.resync_seconds * random.uniform(0.9, 1.1))  # noqa: S311
