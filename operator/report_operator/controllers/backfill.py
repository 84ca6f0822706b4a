"""One ReportBackfill: observe, decide what runs next, write the status, make the Jobs.

In this order, so that a crash between any two steps loses and doubles nothing: a run is in
`status.inFlight` before its Job is made (under a name that is its own), and leaves it in the write
that counts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import BACKFILLS, JOBS
from report_operator.adapters.kube.skipped import REASON_LIMIT, printable
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.backfill import KIND, parse_backfill_status
from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import (
    BackfillState,
    ReportBackfillStatus,
)
from report_operator.api.v1alpha1.conditions import BackfillConditionType, BackfillReason
from report_operator.api.v1alpha1.resource import Key
from report_operator.api.v1alpha1.spec import Priority
from report_operator.controllers.backfill_observe import BackfillObserver
from report_operator.domain import names
from report_operator.domain.backfills.decision import decide
from report_operator.domain.backfills.status import (
    BackfillView,
    backfill_transitions,
    is_over,
    jobs_to_make,
    view_of,
)
from report_operator.domain.runs.attempts import Attempt, BackfillMark, job_of_attempt
from report_operator.domain.runs.refusals import explain_refusal, is_refusal
from report_operator.domain.runs.spans import about_run
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)

CANDIDATES_LIMIT = 20_000  # schedules
BATCH = 500  # slots whose past is asked for at once
CHECK_HELD_UP = timedelta(seconds=15)
CHECK_UNDECIDED = timedelta(minutes=1)

Body = dict[str, Any]


@dataclass(slots=True)
class BackfillController:
    """Reconciles; one call at a time for one backfill."""

    kube: KubeClient
    store: Store
    recorder: Recorder
    observer: BackfillObserver
    clock: Callable[[], datetime]
    views: dict[Key, BackfillView] = field(default_factory=dict)
    _refused: dict[Key, str] = field(default_factory=dict)  # why no Job could be made last time

    def known(self) -> set[Key]:
        """The backfills that exist, and deleted ones of which Jobs are left."""
        runs = self.store.owned_runs()
        return set(self.store.backfills) | {
            Key(run.namespace, run.backfill) for run in runs if run.backfill
        }

    async def reconcile(self, key: Key) -> timedelta | None:
        """Advance one backfill; returns when to reconcile again, if ever.

        Raises what the API server raises: the caller tries again. Any other error is about this
        backfill alone: it is recorded on the object, which is looked at again later.
        """
        body = self.store.backfills.get(key)
        if body is not None and "deletionTimestamp" in body["metadata"]:
            body = None
        try:
            again = await self._reconcile(key, body)
        except API_ERRORS:
            raise
        except Exception as error:
            if body is None:
                raise
            if self.store.skipped.note(BACKFILLS.plural, body, error):
                logger.exception("%s: cannot be decided on", key)
            await self._record_undecided(key, body["metadata"]["generation"], error)
            return CHECK_UNDECIDED
        if body is not None:
            self.store.skipped.clear(BACKFILLS.plural, body["metadata"]["uid"])
        return again

    async def _record_undecided(self, key: Key, generation: int, error: Exception) -> None:
        """Ready=False and nothing else: the status itself may be what cannot be read."""
        why = printable(f"{type(error).__name__}: {error}", REASON_LIMIT)
        message = (
            f"the operator cannot decide on this backfill ({why}): delete it and ask for another; "
            "please report this with the object"
        )
        if self._refused.get(key) == message:
            return
        conditions = [
            {
                "type": kind.value,
                "status": word,
                "reason": BackfillReason.INTERNAL_ERROR.value,
                "message": message,
                "lastTransitionTime": format_time(self.clock()),
            }
            for kind, word in (
                (BackfillConditionType.READY, "False"),
                (BackfillConditionType.STALLED, "True"),
            )
        ]
        told = {
            "observedGeneration": generation,
            "conditions": conditions,
            "state": BackfillState.WAITING.value,
        }
        await self.kube.patch(
            BACKFILLS,
            key.namespace,
            key.name,
            {"status": told},
            subresource="status",
        )
        self._refused[key] = message

    async def _reconcile(self, key: Key, body: Body | None) -> timedelta | None:
        await self._delete_orphans(key, body["metadata"]["uid"] if body else None)
        if body is None:
            self._forget(key)
            self.views.pop(key, None)
            return None
        now = self.clock()
        previous = parse_backfill_status(body)
        refused = self._refused.get(key, "")
        observation = await self.observer.observe(key, body, previous, refused, now)
        status, spec = decide(observation), observation.spec
        if status != previous:
            body = await self.kube.replace_status(BACKFILLS, {**body, "status": status.to_wire()})
            self.store.observe_backfill(body)
            for event in backfill_transitions(previous, status):
                self.recorder.record(body, event)
        self.views[key] = view_of(key.namespace, key.name, status)
        if is_over(status):
            self._forget(key)
            return None
        if spec is None or spec.suspend:
            return None
        problem = await self._make_jobs(key, body, spec, status)
        if problem != refused:
            self._refused[key] = problem
            return timedelta(0)  # the condition Ready has to say so
        held_up = any(c.reason != "Ready" for c in status.conditions if c.type == "Ready")
        return CHECK_HELD_UP if held_up else None

    async def _make_jobs(
        self, key: Key, body: Body, spec: ReportBackfillSpec, status: ReportBackfillStatus
    ) -> str:
        """Make the Jobs that are missing; returns why one could not be made, '' if all were."""
        meta = body["metadata"]
        requested_by = names.requester(meta.get("annotations") or {})
        known = {
            run.name
            for uid in {item.schedule_uid for item in status.in_flight}
            for run in self.store.runs_of(uid)
        }
        for item in jobs_to_make(status, known):
            cronjob = self.observer.cronjob(Key(key.namespace, item.schedule), item.schedule_uid)
            if cronjob is None:
                return f"ReportSchedule {item.schedule} has no CronJob just now"
            job = job_of_attempt(
                cronjob,
                Attempt(item.slot, item.report_date, item.attempt, Priority.LOW, spec.parameters),
                requested_by or f"{KIND} {key.name}",
                BackfillMark(key.name, meta["uid"]),
            )
            try:
                answer = await self.kube.create(JOBS, key.namespace, job)
                if answer is None:
                    answer = await self.kube.get(JOBS, key.namespace, item.job)
            except ApiError as error:
                if is_refusal(error.status, error.message):
                    cause = explain_refusal(error.message)
                    return f"Job {item.job} was refused: {cause.reason.value}: {cause.message}"
                raise
            if answer is not None:
                self.store.observe_job(answer)
                run = self.store.runs.get(answer["metadata"]["uid"])
                if run is None or not self.store.owns(run):
                    return f"a Job {item.job} that is not ours exists: delete or rename it"
        return ""

    async def _delete_orphans(self, key: Key, uid: str | None) -> None:
        """Delete queued runs of a backfill of this name that was deleted."""
        left = [
            run
            for run in self.store.owned_runs()
            if (run.namespace, run.backfill) == key
            and run.backfill_uid != uid
            and run.suspended
            and not run.finished
            and not run.deleting
        ]
        if not left:
            return
        live = await self.kube.get(BACKFILLS, key.namespace, key.name)
        for run in left:
            if live is None or live["metadata"]["uid"] != run.backfill_uid:
                logger.info(
                    "%s is gone: its queued run %s is deleted", key, run.name, extra=about_run(run)
                )
                await self.kube.delete(JOBS, run.namespace, run.name, run.uid)

    def _forget(self, key: Key) -> None:
        self.observer.forget(key)
        self._refused.pop(key, None)
