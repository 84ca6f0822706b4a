"""What the scheduler uses beside the cluster: whether it answers, asked by the API itself."""

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
    name: str, ask: Callable[[], Awaitable[T]], unavailable: tuple[type[Exception], ...]
) -> tuple[Check, T | None]:
    """Ask once; the answer, if there is one. `unavailable` is what `ask` raises otherwise."""
    start = time.perf_counter()
    reason, answer = "", None
    try:
        answer = await ask()
    except unavailable as error:
        reason = client.describe(error)
    latency = round(1000 * (time.perf_counter() - start), 1)
    return Check(name=name, ok=not reason, latency_ms=latency, reason=reason), answer


@dataclass(slots=True)
class Backends:
    """Those that are configured; a Redis that hangs is asked every two seconds at most."""

    redis_secret: Path | None
    history: HistoryReader | None = None
    _answers: TTLCache[str, list[Check]] = field(init=False)

    def __post_init__(self) -> None:
        self._answers = TTLCache(lambda _: self._ask(), FRESH_SECONDS)

    async def checks(self) -> list[Check]:
        """One for each."""
        return await self._answers.get("all")

    async def _ask(self) -> list[Check]:
        secret, found = self.redis_secret, []
        if self.history is not None:
            postgres = timed("postgres", self.history.ping, (HistoryUnavailableError,))
            found.append((await postgres)[0])
        if secret is not None:
            redis = timed("redis", lambda: client.ping(secret), client.UNAVAILABLE)
            found.append((await redis)[0])
        return found
