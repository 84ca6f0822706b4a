"""The last snapshot of the cluster, for pages to show while the API server does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from admin_api.errors import UNREACHABLE, reason_of
from admin_api.schemas.status import Check
from admin_api.services.backends import Backends
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.queue import QueueView
from report_operator.domain.admission.queue import Queue

logger = logging.getLogger(__name__)

PAGE_TIMEOUT = 5.0  # seconds; then the page shows the last snapshot


@dataclass(frozen=True, slots=True)
class DashboardSnapshot:
    """The cluster at the instant `at`; None where it was never read.

    `problem` says why it cannot be read now, '' where it can.
    """

    leader: Leader | None = None
    snapshot: Snapshot | None = None
    queue: Queue | None = None
    starts: Mapping[str, datetime] = field(default_factory=dict)  # likely, by Job uid
    admission_problem: str = ""
    checks: Sequence[Check] = ()  # of the backends
    at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class SnapshotCache:
    cluster: Cluster
    backends: Backends
    queue: QueueView
    clock: Callable[[], datetime]
    _last: DashboardSnapshot = field(default_factory=DashboardSnapshot)

    async def get(self) -> DashboardSnapshot:
        """The cluster now, or as it was when it was last read."""
        checks, current = await asyncio.gather(self.backends.checks(), self._fetch())
        if isinstance(current, str):
            return replace(self._last, checks=checks, problem=current)
        self._last = replace(current, checks=checks, at=self.clock())
        return self._last

    async def _fetch(self) -> DashboardSnapshot | str:
        """The snapshot, or the reason why there is none."""
        try:
            async with asyncio.timeout(PAGE_TIMEOUT):
                leader, snapshot = await asyncio.gather(
                    self.cluster.leader(), self.cluster.snapshot()
                )
                queue = self.queue.queue(snapshot)
                problem = await self.queue.problem(queue)
                return DashboardSnapshot(
                    leader, snapshot, queue, self.queue.starts(snapshot, queue), problem
                )
        except UNREACHABLE as error:
            reason = reason_of(error)
            logger.warning("snapshot of a page: %s", reason)
            return reason
