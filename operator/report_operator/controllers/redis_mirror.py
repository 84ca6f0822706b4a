"""Keeps the lists for on-call up to date: the queue, and the dead letters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.lease import LEASES, LastClearing, read_cleared, write_cleared
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.store import Store
from report_operator.adapters.redis.client import UNAVAILABLE, describe, end_if_cancelled
from report_operator.adapters.redis.lists import RedisLists
from report_operator.api.v1alpha1.resource import Key, parse_status
from report_operator.domain.admission.queue import Queue
from report_operator.domain.runs.dead_letter import is_cleared
from report_operator.domain.runs.redis_elements import (
    DeadLetter,
    dead_letters,
    given_up,
    queue_elements,
)
from report_operator.domain.schedules.clearing import IN_REDIS, events_of_lease, events_of_schedules
from report_operator.metrics import Metrics
from report_runner.contract.result import Outcome

logger = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.25  # changes come in bursts
CHECK_SECONDS = 2.0  # between checks whether somebody else changed a list
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 15.0
LEASE_VERSION = "coordination.k8s.io/v1"
YIELD_AFTER = 200  # schedules, before other tasks get their turn

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _ScheduleLetters:
    """The dead letters of a schedule, and what they were computed from."""

    version: int | None
    uid: str
    report_type: str
    # Uids of all recorded outcomes, where one of them is a failure.
    recorded: frozenset[str] = frozenset()
    under_way: frozenset[tuple[datetime, int]] | None = None  # None: not looked at yet
    letters: tuple[DeadLetter, ...] = ()


@dataclass(slots=True)
class RedisMirror:
    """Counts the dead letters, and publishes both lists in Redis where one is configured."""

    kube: KubeClient
    store: Store
    recorder: Recorder
    metrics: Metrics
    redis: RedisLists | None
    namespace: str  # of the Lease
    lease: str
    queue: Callable[[], Queue]  # as it is now
    _cleared: datetime | None = None
    _known: dict[Key, _ScheduleLetters] = field(default_factory=dict)
    _skipped: dict[Key, int | None] = field(default_factory=dict)  # by version
    _queue: Sequence[str] = ()
    _letters: Sequence[DeadLetter] = ()
    _up: bool | None = None  # Redis; None: not tried yet
    _failures: int = 0
    _next_try: float = 0.0  # monotonic
    _next_read: float = 0.0  # of the Lease, monotonic

    async def run(self) -> None:
        while not await self._read_cleared():  # noqa: ASYNC110  (the Lease is elsewhere)
            await asyncio.sleep(CHECK_SECONDS)
        try:
            while True:
                self.store.news.clear()
                await self._refresh_cleared()
                await self._observe()
                await self._publish()
                await self._wait()
        finally:
            if self.redis is not None:
                await self.redis.close()

    async def _wait(self) -> None:
        """Returns when something changed; checks Redis meanwhile."""
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self.store.news.wait()
            except TimeoutError:
                if await self._refresh_cleared():
                    self._count()
                await self._publish()
            else:
                await asyncio.sleep(DEBOUNCE_SECONDS)
                return

    async def _refresh_cleared(self) -> bool:
        """Whether somebody cleared the dead letters by the admin API, or took it back."""
        if time.monotonic() < self._next_read:
            return False
        self._next_read = time.monotonic() + CHECK_SECONDS
        before = self._cleared
        return await self._read_cleared() and self._cleared != before

    async def _read_cleared(self) -> bool:
        try:
            self._cleared = await read_cleared(self.kube, self.namespace, self.lease)
        except API_ERRORS as error:
            logger.warning("the lease could not be read: %s", str(error) or type(error).__name__)
            return False
        return True

    async def _observe(self) -> None:
        """Computes both lists."""
        report_types: dict[str, str] = {}
        known: dict[Key, _ScheduleLetters] = {}
        for number, key in enumerate(list(self.store.schedules)):
            if number % YIELD_AFTER == 0:
                await asyncio.sleep(0)
            try:
                found = self._observe_schedule(key)
            except Exception as error:  # noqa: BLE001  (one schedule hides no other)
                self._log_skipped(key, error)
                found = None
            if found is not None:
                known[key] = found
                report_types[found.uid] = found.report_type
        self._known = known
        self._queue = queue_elements(self.queue(), report_types)
        self._count()

    def _log_skipped(self, key: Key, error: Exception) -> None:
        version = self.store.schedules.version(key)
        if self._skipped.get(key) != version:
            logger.warning("the lists leave out %s: %s: %s", key, type(error).__name__, error)
        self._skipped[key] = version

    def _observe_schedule(self, key: Key) -> _ScheduleLetters | None:
        """None for a schedule that was deleted meanwhile."""
        version = self.store.schedules.version(key)
        known = self._known.get(key)
        body: Body | None = None
        if known is None or known.version != version:
            body = self.store.schedules.get(key)
            if body is None:
                return None
            report_type = body["spec"].get("reportType", "")
            known = _ScheduleLetters(version, body["metadata"]["uid"], report_type, _recorded(body))
        if not known.recorded:
            return known
        under_way = frozenset(
            (run.slot, run.attempt)
            for run in self.store.runs_of(known.uid)
            if run.uid not in known.recorded
        )
        if known.under_way == under_way:
            return known
        recent = parse_status(body or self.store.schedules[key]).recent_runs
        letters = given_up(key.namespace, key.name, known.report_type, recent, under_way)
        return replace(known, under_way=under_way, letters=tuple(letters))

    def _count(self) -> None:
        every = (letter for known in self._known.values() for letter in known.letters)
        self._letters = dead_letters(every, self._cleared)
        self.metrics.dead_letters(len(self._letters))

    async def _publish(self) -> None:
        """Writes both lists, unless Redis failed a moment ago."""
        if self.redis is None or time.monotonic() < self._next_try:
            return
        try:
            await self.redis.publish_queue(self._queue)
            await self._publish_dead_letters(self.redis)
        except UNAVAILABLE as error:
            self._failures += 1
            delay = min(FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10), LAST_RETRY_SECONDS)
            self._next_try = time.monotonic() + delay
            self._report(up=False, why=describe(error))
        else:
            self._failures = 0
            self._report(up=True)
        end_if_cancelled()

    async def _publish_dead_letters(self, redis: RedisLists) -> None:
        deleted = await redis.publish_dead_letters(
            [letter.element for letter in self._letters],
            self._letters[0].failed_at if self._letters else None,
            self._cleared,
        )
        if deleted is None:
            return
        try:
            # Before anything else: a list that is restored by itself cannot be cleared.
            clearing = LastClearing(deleted, IN_REDIS, datetime.now(UTC))
            written = await write_cleared(self.kube, self.namespace, self.lease, clearing)
        except API_ERRORS as error:
            logger.warning(
                "the dead letters stay deleted, though not yet for good: %s",
                str(error) or type(error).__name__,
            )
            return
        if written is None:
            return  # the Lease is gone, or contended: the next look writes it
        logger.info(
            "the dead letters were deleted: those that failed until %s stay so", written.through
        )
        if written is clearing:
            await self._tell(clearing)
        self._cleared = written.through
        self._count()
        await self._publish_dead_letters(redis)

    async def _tell(self, clearing: LastClearing) -> None:
        """Events on the schedules whose failures went off the list, and on the Lease."""
        gone = {
            key: [letter for letter in known.letters if self._goes(letter, clearing)]
            for key, known in self._known.items()
        }
        at = clearing.at or clearing.through
        told = events_of_schedules(gone, clearing.through, at)
        for key, event in told.items():
            body = self.store.schedules.get(key)
            if body is not None:
                self.recorder.record(body, event)
        try:
            lease = await self.kube.get(LEASES, self.namespace, self.lease)
        except API_ERRORS as error:
            logger.warning("the lease could not be read: %s", str(error) or type(error).__name__)
            return
        if lease is not None:
            event = events_of_lease(gone, clearing.through, at)
            self.recorder.record({**lease, "apiVersion": LEASE_VERSION, "kind": "Lease"}, event)

    def _goes(self, letter: DeadLetter, clearing: LastClearing) -> bool:
        """Whether it was on the list until now."""
        return is_cleared(letter.failed_at, clearing.through) and not is_cleared(
            letter.failed_at, self._cleared
        )

    def _report(self, *, up: bool, why: str = "") -> None:
        if up is not self._up:
            if not up:
                logger.warning("redis does not serve, its lists are not kept: %s", why)
            elif self._up is False:
                logger.info("redis serves again, its lists are as they should be")
        self._up = up
        self.metrics.dependency("redis", up=up)


def _recorded(body: Body) -> frozenset[str]:
    recent = (body.get("status") or {}).get("recentRuns") or ()
    if not any(entry.get("outcome") == Outcome.FAILED for entry in recent):
        return frozenset()
    return frozenset(entry["uid"] for entry in recent)
