"""Checks of PostgreSQL and Redis, made by the API itself."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from admin_api.schemas.status import Check
from report_operator.adapters.postgres.database import HistoryUnavailableError
from report_operator.adapters.postgres.reader import HistoryReader
from report_operator.adapters.redis import client
from report_operator.adapters.ttl_cache import TTLCache

FRESH_SECONDS = 2.0

T = TypeVar("T")


async def timed(
    name: str, call: Callable[[], Awaitable[T]], unavailable: tuple[type[Exception], ...]
) -> tuple[Check, T | None]:
    """Call once, and time it; the answer is None where `call` raised one of `unavailable`."""
    start = time.perf_counter()
    reason, answer = "", None
    try:
        answer = await call()
    except unavailable as error:
        reason = client.describe(error)
    latency = round(1000 * (time.perf_counter() - start), 1)
    return Check(name=name, ok=not reason, latency_ms=latency, reason=reason), answer


@dataclass(slots=True)
class Backends:
    """Checks are cached for FRESH_SECONDS, also those of a backend that hangs."""

    redis_secret: Path | None
    history: HistoryReader | None = None
    _checks: TTLCache[str, list[Check]] = field(init=False)

    def __post_init__(self) -> None:
        self._checks = TTLCache(lambda _: self._check(), FRESH_SECONDS)

    async def checks(self) -> list[Check]:
        return await self._checks.get("all")

    async def _check(self) -> list[Check]:
        secret, found = self.redis_secret, []
        if self.history is not None:
            postgres = timed("postgres", self.history.ping, (HistoryUnavailableError,))
            found.append((await postgres)[0])
        if secret is not None:
            redis = timed("redis", lambda: client.ping(secret), client.UNAVAILABLE)
            found.append((await redis)[0])
        return found
