"""One ReportBackfill: count what has ended, decide what runs next, write that down, make the Jobs.

In this order, so that a crash between any two steps loses and doubles nothing: a run is in
`status.inFlight` before its Job is made (under a name that is its own), and leaves it in the write
that counts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import BACKFILLS, JOBS
from report_operator.adapters.kube.skipped import REASON_LIMIT, printable
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.backfill import KIND, parse_backfill_spec, parse_backfill_status
from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import (
    WOULD_RUN_LIMIT,
    BackfillRun,
    BackfillState,
    ReportBackfillStatus,
)
from report_operator.api.v1alpha1.conditions import BackfillConditionType, BackfillReason
from report_operator.api.v1alpha1.resource import Key, SpecError, parse_status
from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain import names
from report_operator.domain.backfills.planning import (
    Candidate,
    HeldUpError,
    Slot,
    after,
    all_slots,
    choose,
    spans,
    targets_of,
)
from report_operator.domain.backfills.status import (
    BackfillProgress,
    BackfillView,
    backfill_transitions,
    conclude,
    is_over,
    jobs_to_make,
    settle,
    view_of,
)
from report_operator.domain.runs.attempts import Attempt, BackfillMark, job_of_attempt
from report_operator.domain.runs.history import (
    PastRuns,
    PastRunsUnavailableError,
    SlotPast,
    by_slot,
)
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)

CANDIDATES_LIMIT = 20_000  # schedules
BATCH = 500  # slots whose past is asked for at once
LOOK_AGAIN = timedelta(seconds=15)  # where it is held up
LOOK_AT_UNDECIDED = timedelta(minutes=1)
# Of the API server and the way to it: the same may go well the next time.
TRY_AGAIN = (ApiError, aiohttp.ClientError, OSError, TimeoutError)

Body = dict[str, Any]


@dataclass(slots=True)
class BackfillController:
    """Holds what the steps share; one call at a time for one backfill."""

    kube: KubeClient
    store: Store
    recorder: Recorder
    pasts: Sequence[PastRuns]
    clock: Callable[[], datetime]
    views: dict[Key, BackfillView] = field(default_factory=dict)
    # What the slots were computed from, and the slots.
    _slots: dict[Key, tuple[object, tuple[Slot, ...]]] = field(default_factory=dict)
    # Versions of schedule and CronJob, and what was made of them.
    _candidates: dict[Key, tuple[tuple[int | None, int | None], Candidate]] = field(
        default_factory=dict
    )
    _refused: dict[Key, str] = field(default_factory=dict)  # why no Job could be made last time

    def known(self) -> set[Key]:
        """The backfills there are, and those of which only Jobs are left."""
        runs = self.store.owned_runs()
        return set(self.store.backfills) | {
            Key(run.namespace, run.backfill) for run in runs if run.backfill
        }

    async def reconcile(self, key: Key) -> timedelta | None:
        """Bring one backfill on; when to look again, if ever.

        Raises what the API server raises; the caller tries again. What else goes wrong is about
        this backfill alone: it is told, and looked at again later.
        """
        body = self.store.backfills.get(key)
        if body is not None and "deletionTimestamp" in body["metadata"]:
            body = None
        try:
            again = await self._reconcile(key, body)
        except TRY_AGAIN:
            raise
        except Exception as error:
            if body is None:
                raise
            if self.store.skipped.note(BACKFILLS.plural, body, error):
                logger.exception("%s: cannot be decided on", key)
            await self._tell_undecided(key, error)
            return LOOK_AT_UNDECIDED
        if body is not None:
            self.store.skipped.clear(BACKFILLS.plural, body["metadata"]["uid"])
        return again

    async def _tell_undecided(self, key: Key, error: Exception) -> None:
        """Ready=False, and nothing else: what the status says may be what cannot be read."""
        why = printable(f"{type(error).__name__}: {error}", REASON_LIMIT)
        message = (
            f"the operator cannot decide on this backfill ({why}): delete it and ask for another; "
            "please report this with the object"
        )
        if self._refused.get(key) == message:
            return
        condition = {
            "type": BackfillConditionType.READY.value,
            "status": "False",
            "reason": BackfillReason.INTERNAL_ERROR.value,
            "message": message,
            "lastTransitionTime": format_time(self.clock()),
        }
        await self.kube.patch(
            BACKFILLS,
            key.namespace,
            key.name,
            {"status": {"conditions": [condition], "state": BackfillState.WAITING.value}},
            subresource="status",
        )
        self._refused[key] = message

    async def _reconcile(self, key: Key, body: Body | None) -> timedelta | None:
        await self._cancel_others(key, body["metadata"]["uid"] if body else None)
        if body is None:
            self._forget(key)
            self.views.pop(key, None)
            return None
        now = self.clock()
        previous = parse_backfill_status(body)
        status, spec = await self._decide(key, body, previous, now)
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
        refused = await self._make_jobs(key, body, status)
        if refused != self._refused.get(key, ""):
            self._refused[key] = refused
            return timedelta(0)  # the condition Ready has to say so
        held_up = any(c.reason != "Ready" for c in status.conditions if c.type == "Ready")
        return LOOK_AGAIN if held_up else None

    # -- steps ------------------------------------------------------------------------------

    async def _decide(
        self, key: Key, body: Body, previous: ReportBackfillStatus, now: datetime
    ) -> tuple[ReportBackfillStatus, ReportBackfillSpec | None]:
        """The status to write; and the spec, unless it is wrong."""
        generation = body["metadata"]["generation"]
        status = settle(previous, *self._observed(key, previous))
        spec: ReportBackfillSpec | None = None
        left: int | None = None
        held_up: HeldUpError | None = None
        refused = self._refused.get(key)
        if not is_over(previous):
            try:
                spec = _spec(body)
                slots = await self._remaining(key, body, spec, status, now)
                left = len(slots)
                status = status.model_copy(update={"start_time": status.start_time or now})
                if refused:
                    held_up = HeldUpError(BackfillReason.API_ERROR, refused)
                else:
                    status, left = await self._advance(key.namespace, spec, status, slots)
            except HeldUpError as error:
                held_up = error
        progress = BackfillProgress(
            generation=generation,
            suspended=spec is not None and spec.suspend,
            dry_run=spec is not None and spec.dry_run,
            left=left,
            held_up=held_up,
            last_date=spec.end_date if spec is not None else None,
        )
        return conclude(status, progress, now), spec

    def _observed(
        self, key: Key, status: ReportBackfillStatus
    ) -> tuple[dict[str, RecentRun], set[str]]:
        """Recorded outcomes of the schedules in flight, by Job; and uids of those that exist."""
        outcomes: dict[str, RecentRun] = {}
        uids: set[str] = set()
        for name in {run.schedule for run in status.in_flight}:
            body = self.store.schedules.get(Key(key.namespace, name))
            if body is not None:
                uids.add(body["metadata"]["uid"])
                outcomes |= {entry.job: entry for entry in parse_status(body).recent_runs}
        return outcomes, uids

    async def _remaining(
        self,
        key: Key,
        body: Body,
        spec: ReportBackfillSpec,
        status: ReportBackfillStatus,
        now: datetime,
    ) -> Sequence[Slot]:
        """The slots that are not decided on. Raises HeldUpError."""
        started = status.start_time or now.replace(microsecond=0)
        candidates = [
            found
            for schedule in list(self.store.schedules)
            if schedule.namespace == key.namespace
            and (found := self._candidate(schedule)) is not None
        ]
        targets = targets_of(key.namespace, spec, candidates, started)
        basis = (body["metadata"]["uid"], started, targets)
        known = self._slots.get(key)
        if known is None or known[0] != basis:
            # Tenths of a second of work where the dates have many slots.
            slots = await asyncio.to_thread(all_slots, targets, spec, started)
            known = (basis, slots)
            self._slots[key] = known
        return after(known[1], status.cursor)

    def _candidate(self, schedule: Key) -> Candidate | None:
        """What is asked of a schedule, kept: each backfill of a namespace looks at all of them."""
        versions = self.store.schedules.version(schedule), self.store.cronjobs.version(schedule)
        known = self._candidates.get(schedule)
        if known is not None and known[0] == versions:
            return known[1]
        body = self.store.schedules.get(schedule)
        if body is None:
            self._candidates.pop(schedule, None)
            return None
        cronjob = self._cronjob(schedule, body["metadata"]["uid"])
        found = Candidate(schedule.name, _of_interest(body), cronjob and _of_interest(cronjob))
        if len(self._candidates) > CANDIDATES_LIMIT:
            self._candidates.clear()
        self._candidates[schedule] = versions, found
        return found

    def _cronjob(self, schedule: Key, uid: str) -> Body | None:
        if self.store.cronjobs.controller(schedule) != uid:
            return None
        return self.store.cronjobs.get(schedule)

    async def _advance(
        self,
        namespace: str,
        spec: ReportBackfillSpec,
        status: ReportBackfillStatus,
        slots: Sequence[Slot],
    ) -> tuple[ReportBackfillStatus, int]:
        """Decide on slots while there are places; the status, and how many slots are left.

        Raises HeldUpError where nobody can say what is missing.
        """
        places = spec.max_concurrent - len(status.in_flight)
        if spec.dry_run:
            places = len(slots)
        if spec.suspend:
            places = 0
        chosen: list[BackfillRun] = []
        skipped = decided = 0
        while decided < len(slots) and len(chosen) < places:
            batch = slots[decided : decided + BATCH]
            choice = choose(
                batch,
                await self._past(namespace, batch),
                spec.reprocess,
                places - len(chosen),
            )
            chosen += choice.runs
            skipped += choice.skipped
            decided += choice.decided
        update: dict[str, Any] = {"skipped": status.skipped + skipped}
        if decided:
            update["cursor"] = slots[decided - 1].cursor
        if not spec.dry_run:
            update["in_flight"] = [*status.in_flight, *chosen]
        elif not spec.suspend:
            update["would_run"] = chosen[:WOULD_RUN_LIMIT]
            update["would_run_count"] = len(chosen)
        return status.model_copy(update=update), len(slots) - decided

    async def _past(
        self, namespace: str, slots: Iterable[Slot]
    ) -> dict[tuple[str, datetime], SlotPast]:
        found: dict[tuple[str, datetime], SlotPast] = {}
        for uid, name, first, last in spans(slots):
            try:
                told = [
                    run
                    for source in self.pasts
                    for run in await source.of(namespace, uid, name, first, last)
                ]
            except PastRunsUnavailableError as error:
                raise HeldUpError(
                    BackfillReason.HISTORY_UNAVAILABLE,
                    f"nobody can say which runs are missing while history does not answer: {error}",
                ) from error
            found |= {(uid, slot): past for slot, past in by_slot(told).items()}
        return found

    async def _make_jobs(self, key: Key, body: Body, status: ReportBackfillStatus) -> str:
        """Make the Jobs that are missing; why one of them could not be made, '' if all were."""
        meta = body["metadata"]
        requested_by = names.requester(meta.get("annotations") or {})
        known = {
            run.name
            for uid in {item.schedule_uid for item in status.in_flight}
            for run in self.store.runs_of(uid)
        }
        for item in jobs_to_make(status, known):
            cronjob = self._cronjob(Key(key.namespace, item.schedule), item.schedule_uid)
            if cronjob is None:
                return f"ReportSchedule {item.schedule} has no CronJob just now"
            job = job_of_attempt(
                cronjob,
                Attempt(item.slot, item.report_date, item.attempt, Priority.LOW),
                requested_by or f"{KIND} {key.name}",
                BackfillMark(key.name, meta["uid"]),
            )
            try:
                answer = await self.kube.create(JOBS, key.namespace, job)
                if answer is None:
                    answer = await self.kube.get(JOBS, key.namespace, item.job)
            except ApiError as error:
                if error.status in (400, 403, 422):
                    return f"the Job {item.job} was refused: {error.message}"
                raise
            if answer is not None:
                self.store.observe_job(answer)
                run = self.store.runs.get(answer["metadata"]["uid"])
                if run is None or not self.store.owns(run):
                    return f"a Job {item.job} that is not ours exists: delete or rename it"
        return ""

    async def _cancel_others(self, key: Key, uid: str | None) -> None:
        """Remove waiting runs of a backfill of this name that was deleted."""
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
                logger.info("%s is gone: its waiting run %s goes", key, run.name)
                await self.kube.delete(JOBS, run.namespace, run.name, run.uid)

    def _forget(self, key: Key) -> None:
        self._slots.pop(key, None)
        self._refused.pop(key, None)


def _of_interest(body: Body) -> Body:
    """Of a ReportSchedule or CronJob what decides whether and when it has slots."""
    meta, spec = body["metadata"], body["spec"]
    kept = ("uid", "creationTimestamp", "labels", "annotations")
    last = (body.get("status") or {}).get("lastScheduleTime")
    return {
        "status": {"lastScheduleTime": last},
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {
            name: spec[name]
            for name in ("reportType", "tier", "schedule", "timeZone", "suspend")
            if name in spec
        },
    }


def _spec(body: Body) -> ReportBackfillSpec:
    try:
        return parse_backfill_spec(body)
    except SpecError as error:
        raise HeldUpError(BackfillReason.INVALID_SPEC, str(error)) from error
