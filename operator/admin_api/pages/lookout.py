"""What was last seen of the cluster: a page has something to show while the API server is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from admin_api.cluster import Cluster, Leader
from admin_api.dependencies import Dependencies
from admin_api.errors import UNREACHABLE, reason_of
from admin_api.model import Check
from admin_api.observed import Snapshot

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds; then the page shows what it has


@dataclass(frozen=True, slots=True)
class Sight:
    """The cluster at an instant; all None where it was never seen. `problem`: why not now."""

    leader: Leader | None = None
    snapshot: Snapshot | None = None
    dependencies: Sequence[Check] = ()
    at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class Lookout:
    """Looks, and remembers."""

    cluster: Cluster
    dependencies: Dependencies
    clock: Callable[[], datetime]
    _last: Sight = field(default_factory=Sight)

    async def look(self) -> Sight:
        """The cluster now, or as it was when it was last seen."""
        checks, seen = await asyncio.gather(self.dependencies.checks(), self._see())
        if isinstance(seen, str):
            return replace(self._last, dependencies=checks, problem=seen)
        self._last = Sight(*seen, checks, self.clock())
        return self._last

    async def _see(self) -> tuple[Leader, Snapshot] | str:
        """Or why not."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.gather(self.cluster.leader(), self.cluster.snapshot())
        except UNREACHABLE as error:
            problem = reason_of(error)
            logger.warning("a page: %s", problem)
            return problem
