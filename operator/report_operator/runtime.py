"""Runs the parts of the operator while it leads: tasks, signals, shutdown, health."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from report_operator import handlers
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.app import App, utc_now
from report_operator.controllers.resync import WatchBlindError

logger = logging.getLogger(__name__)

FINISH_SECONDS = 5.0  # at a stop, for what is being written
CANCEL_AGAIN_SECONDS = 6.0  # more than a task takes to clean up
STALE_RESYNCS = 4  # resyncs that may fail before the process counts as hung
RESYNC_RETRY_SECONDS = 5.0
RECONCILES_A_SECOND = 200  # of what a resync finds


def take_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


@dataclass(slots=True)
class Runtime:
    """`run` is called while the Lease is held."""

    app: App
    last_resync: datetime | None = None
    resyncs: int = 0
    started: datetime | None = None
    _cache_synced: asyncio.Event = field(default_factory=asyncio.Event)  # the first resync is over

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set. Raises the error of an essential task that ends before."""
        self.started = utc_now()
        tasks = self._start(stop)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task.done()]
            if stop.is_set():
                ended = []  # the end was asked for
                await self.app.queues.finish(FINISH_SECONDS)
                await self.app.recorder.finish(FINISH_SECONDS)
        finally:
            await end_tasks({*tasks, stopping})
            await self.app.templates.close()
        for task in ended:
            task.result()
            raise RuntimeError(f"the task {task.get_name()} ended by itself")

    def _start(self, stop: asyncio.Event) -> list[asyncio.Task[None]]:
        app, queues = self.app, self.app.queues
        config = app.config
        tasks = {
            "schedules": self._after_cache_sync(queues.schedules.run),
            "backfills": self._after_cache_sync(queues.backfills.run),
            "admission": self._after_cache_sync(queues.admission.run),
            "lists": self._after_cache_sync(app.redis_mirror.run),
            "events": app.recorder.run(),
            "crds": app.crds.watch(config.resync_seconds),
            "resync": self._resync_loop(),
            # Not before: its own listings would hold up the first admission after a takeover.
            "watch": self._after_cache_sync(
                lambda: handlers.watch(
                    app.store,
                    queues,
                    config.watch_namespaces,
                    clusterwide=config.watch_all_namespaces,
                    # kopf installs its own signal handlers when it starts.
                    started=lambda: take_signals(stop),
                )
            ),
        }
        if app.history is not None:
            tasks = {"history": self._archive_history(), **tasks}
        return [asyncio.create_task(work, name=name) for name, work in tasks.items()]

    def health(self) -> tuple[bool, dict[str, Any]]:
        """For /healthz: a standby is healthy; a leader is while its resyncs succeed."""
        store = self.app.store
        details: dict[str, Any] = {
            "leading": self.started is not None,
            "identity": self.app.identity,
        }
        if self.app.crds.problem:
            details["crds"] = self.app.crds.problem
        if self.started is None:
            return not self.app.crds.problem, details
        age = (utc_now() - (self.last_resync or self.started)).total_seconds()
        details["lastResyncAgeSeconds"] = round(age, 1)
        details["resyncs"] = self.resyncs
        details["schedules"] = len(store.schedules)
        details["queue"] = self.app.queues.schedules.depth
        details["skipped"] = dict(store.skipped.counts())
        details["skippedNewest"] = store.skipped.summary()
        return age < STALE_RESYNCS * self.app.config.resync_seconds + 60, details

    def ready(self) -> bool:
        """For /readyz: a standby is ready to take over; a leader once its cache is whole."""
        return self.started is None or self._cache_synced.is_set()

    async def _after_cache_sync(self, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing is decided on a partial cache: with few Jobs, admission admits too many."""
        await self._cache_synced.wait()
        await work()

    async def _archive_history(self) -> None:
        history = self.app.history
        if history is not None:
            async with history.database:
                await history.archiver.run()

    async def _resync_loop(self) -> None:
        seconds = self.app.config.resync_seconds
        while True:
            if await self._resync():
                self._enqueue_all(spread=seconds / 2)
                await asyncio.sleep(seconds * random.uniform(0.9, 1.1))  # noqa: S311
            else:
                self.app.metrics.resynced(utc_now(), up=False)
                await asyncio.sleep(min(RESYNC_RETRY_SECONDS, seconds))

    async def _resync(self) -> bool:
        """Whether it succeeded. Raises WatchBlindError."""
        try:
            changed = await self.app.resync.run()
        except API_ERRORS as error:
            logger.warning("resync: %s", str(error) or type(error).__name__)
            return False
        except WatchBlindError:
            raise
        except Exception:
            # The liveness probe sees that no resync succeeds: to end here would be no better.
            logger.exception("resync")
            return False
        # After a takeover that is every schedule: the first admission does not wait for them all.
        for key in changed:
            delay = random.uniform(0, len(changed) / RECONCILES_A_SECOND)  # noqa: S311
            self.app.queues.schedules.add_after(key, delay)
        self.last_resync = utc_now()
        self.resyncs += 1
        self._cache_synced.set()
        self.app.metrics.resynced(self.last_resync, up=True)
        return True

    def _enqueue_all(self, spread: float) -> None:
        """Everything once, the schedules spread over so many seconds."""
        queues = self.app.queues
        queues.enqueue_admission()
        for key in list(self.app.store.schedules):
            queues.schedules.add_after(key, random.uniform(0, spread))  # noqa: S311
        for key in self.app.backfills.known():
            queues.enqueue_backfill(key)


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels until all have ended: a library may swallow one cancellation, as redis-py does."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
