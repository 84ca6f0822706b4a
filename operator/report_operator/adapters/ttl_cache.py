"""Answers that may be a few seconds old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class TTLCache(Generic[K, V]):
    """Calls `load(key)` at most once in `seconds`; callers at the same time share one call."""

    load: Callable[[K], Awaitable[V]]
    seconds: float
    limit: int = 1000  # keys; all are dropped beyond
    _known: dict[K, tuple[float, asyncio.Future[V]]] = field(default_factory=dict)

    async def get(self, key: K) -> V:
        """Raises what `load` raises, and then drops the key."""
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < self.seconds:
            return await asyncio.shield(known[1])
        if len(self._known) >= self.limit:
            self._known.clear()
        loading = asyncio.ensure_future(self.load(key))
        self._known[key] = (time.monotonic(), loading)
        try:
            return await asyncio.shield(loading)
        except BaseException:
            self._known.pop(key, None)
            raise

    def forget(self, key: K) -> None:
        """The next `get` loads again."""
        self._known.pop(key, None)
