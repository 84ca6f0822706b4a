"""A queue of keys as client-go has it: a key waits once, runs once at a time, retries slower."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 60.0


class WorkQueue(Generic[K]):
    """Calls `work(key)` for every key added, with at most `workers` of them at once.

    A key that is added while its work runs is worked on once more afterwards. Work that raises is
    retried with exponential backoff (0.2 s to 60 s), without a limit.
    """

    def __init__(self, work: Callable[[K], Awaitable[None]], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()  # in _ready
        self._running: set[K] = set()
        self._again: set[K] = set()  # added while running
        self._timers: dict[K, asyncio.Handle] = {}
        self._due: dict[K, float] = {}  # uvloop's handles do not say when, if that is almost now
        self._failures: dict[K, int] = {}
        self._closing = asyncio.Event()
        self._all_ended = asyncio.Event()  # while closing

    def add(self, key: K) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Work on the key later; of several times the earliest counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, 0.0)
        if key in self._timers:
            if self._due[key] <= due:
                return
            self._timers[key].cancel()
        self._due[key] = due
        self._timers[key] = loop.call_at(due, self._fire, key)

    def _fire(self, key: K) -> None:
        del self._timers[key], self._due[key]
        self.add(key)

    async def run(self) -> None:
        """Ends when it is cancelled, or by `finish`."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._worker())
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._due.clear()

    async def finish(self, seconds: float) -> None:
        """Start nothing more, and wait at most this long for what is running."""
        self._closing.set()
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._all_ended.wait()

    async def _worker(self) -> None:
        while not self._closing.is_set():
            key = await self._ready.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                await self._work(key)
            except Exception as error:
                failures = self._failures.get(key, 0) + 1
                self._failures[key] = failures
                delay = min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 20), LAST_RETRY_SECONDS)
                expected = isinstance(error, OSError | TimeoutError) or hasattr(error, "status")
                logger.warning(
                    "%s: failed %d times, again in %.1f s: %s",
                    key,
                    failures,
                    delay,
                    str(error) or type(error).__name__,
                    exc_info=None if expected else error,
                )
                self.add_after(key, delay)
            else:
                self._failures.pop(key, None)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                if self._closing.is_set() and not self._running:
                    self._all_ended.set()

    @property
    def depth(self) -> int:
        """Number of keys that wait for a worker."""
        return len(self._waiting)
