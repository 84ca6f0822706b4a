"""What was last seen of the cluster: a page has something to show while the API server is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from admin_api.errors import UNREACHABLE, reason_of
from admin_api.routes.queue import QueueView
from admin_api.schemas.scheduler import Check
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.dependencies import Dependencies
from report_operator.domain.admission.queue import Queue

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds; then the page shows what it has


@dataclass(frozen=True, slots=True)
class DashboardSnapshot:
    """The cluster at an instant; all None where it was never seen. `problem`: why not now."""

    leader: Leader | None = None
    snapshot: Snapshot | None = None
    queue: Queue | None = None
    starts: Mapping[str, datetime] = field(default_factory=dict)  # likely, by Job uid
    admission_trouble: str = ""
    dependencies: Sequence[Check] = ()
    at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class SnapshotCache:
    """Looks, and remembers."""

    cluster: Cluster
    dependencies: Dependencies
    queue: QueueView
    clock: Callable[[], datetime]
    _last: DashboardSnapshot = field(default_factory=DashboardSnapshot)

    async def look(self) -> DashboardSnapshot:
        """The cluster now, or as it was when it was last seen."""
        checks, seen = await asyncio.gather(self.dependencies.checks(), self._see())
        if isinstance(seen, str):
            return replace(self._last, dependencies=checks, problem=seen)
        self._last = replace(seen, dependencies=checks, at=self.clock())
        return self._last

    async def _see(self) -> DashboardSnapshot | str:
        """Or why not."""
        try:
            async with asyncio.timeout(PATIENCE):
                leader, snapshot = await asyncio.gather(
                    self.cluster.leader(), self.cluster.snapshot()
                )
                queue = self.queue.queue(snapshot)
                trouble = await self.queue.trouble(queue)
                return DashboardSnapshot(
                    leader, snapshot, queue, self.queue.starts(snapshot, queue), trouble
                )
        except UNREACHABLE as error:
            problem = reason_of(error)
            logger.warning("a page: %s", problem)
            return problem
