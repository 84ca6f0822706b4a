"""The work queues: each key goes to the controller of its kind, and comes back when it asks to."""

from __future__ import annotations

import asyncio
import time

from report_operator.adapters.kube.store import Store
from report_operator.adapters.kube.workqueue import WorkQueue
from report_operator.api.v1alpha1.resource import Key
from report_operator.controllers.admission import AdmissionController
from report_operator.controllers.backfill import BackfillController
from report_operator.controllers.schedule import ScheduleController

BACKFILL_WORKERS = 2
LONGEST_REST_SECONDS = 0.5  # between two passes of admission
ADMISSION = "admission"  # the one key of its queue


class Queues:
    """Schedules and backfills by key, and admission as a whole."""

    def __init__(
        self,
        store: Store,
        schedules: ScheduleController,
        backfills: BackfillController,
        admission: AdmissionController,
        workers: int,
    ) -> None:
        self._store = store
        self._schedule_controller = schedules
        self._backfill_controller = backfills
        self._admission_controller = admission
        self.schedules = WorkQueue(self._reconcile_schedule, workers)
        self.backfills = WorkQueue(self._reconcile_backfill, BACKFILL_WORKERS)
        self.admission = WorkQueue(self._admit, workers=1)

    def enqueue_schedule(self, key: Key) -> None:
        """Reconcile a schedule as soon as a worker is free."""
        self.schedules.add(key)

    def enqueue_backfill(self, key: Key) -> None:
        """Likewise a backfill."""
        self.backfills.add(key)

    def enqueue_admission(self) -> None:
        """Runs came, went or ended: the next may be admitted."""
        self.admission.add(ADMISSION)

    async def finish(self, seconds: float) -> None:
        """Start nothing more, and wait at most this long for what is being written."""
        queues = (self.schedules, self.backfills, self.admission)
        await asyncio.gather(*(queue.finish(seconds) for queue in queues))

    async def _reconcile_schedule(self, key: Key) -> None:
        again = await self._schedule_controller.reconcile(key)
        if again is not None:
            self.schedules.add_after(key, again.total_seconds() + 0.05)
        for waiting in self._store.backfills_waiting_for(key):
            self.backfills.add(waiting)

    async def _reconcile_backfill(self, key: Key) -> None:
        again = await self._backfill_controller.reconcile(key)
        if again is not None:
            self.backfills.add_after(key, again.total_seconds())

    async def _admit(self, key: str) -> None:
        begun = time.monotonic()
        again = await self._admission_controller.admit()
        # A flood of Jobs makes a pass long, and each Job asks for one: other tasks get their turn.
        await asyncio.sleep(min(time.monotonic() - begun, LONGEST_REST_SECONDS))
        if again is not None:
            self.admission.add_after(key, again.total_seconds())
