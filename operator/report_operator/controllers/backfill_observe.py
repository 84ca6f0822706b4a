"""Collects what a decision about one ReportBackfill is made from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.backfill import parse_backfill_spec
from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import ReportBackfillStatus
from report_operator.api.v1alpha1.conditions import BackfillReason
from report_operator.api.v1alpha1.lost_fields import refuse_lost_fields
from report_operator.api.v1alpha1.resource import Key, SpecError, parse_status
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain import names
from report_operator.domain.backfills.decision import BackfillObservation, free_places
from report_operator.domain.backfills.planning import (
    Candidate,
    HeldUpError,
    Past,
    Slot,
    after,
    all_slots,
    choose,
    spans,
    targets_of,
)
from report_operator.domain.backfills.status import is_over, settle
from report_operator.domain.runs.history import (
    PastRuns,
    PastRunsUnavailableError,
    SlotPast,
    SlotSpan,
    by_slot,
)

CANDIDATES_LIMIT = 20_000  # schedules
BATCH = 500  # slots whose past is asked for at once

Body = dict[str, Any]


@dataclass(slots=True)
class BackfillObserver:
    """Keeps what is costly to compute anew for each look at a backfill."""

    store: Store
    past_runs: Sequence[PastRuns]
    # What the slots were computed from, and the slots.
    _slots: dict[Key, tuple[object, tuple[Slot, ...]]] = field(default_factory=dict)
    # Versions of schedule and CronJob, and what was made of them.
    _candidates: dict[Key, tuple[tuple[int | None, int | None], Candidate]] = field(
        default_factory=dict
    )

    async def observe(
        self, key: Key, body: Body, previous: ReportBackfillStatus, refused: str, now: datetime
    ) -> BackfillObservation:
        """`refused` is why no Job could be made the last time, '' if nothing was in the way."""
        outcomes, schedules = self._outcomes(key, previous)
        generation = body["metadata"]["generation"]
        found = BackfillObservation(now, generation, previous, outcomes, schedules)
        if is_over(previous):
            return found
        try:
            found = replace(found, spec=_spec(body, self.store.backfills.lost(key)))
            found = replace(found, slots=await self._remaining(key, body, found))
            if refused:
                return replace(found, held_up=HeldUpError(BackfillReason.API_ERROR, refused))
            looked_up, past = await self._past(key.namespace, found)
        except HeldUpError as error:
            return replace(found, held_up=error)
        return replace(found, looked_up=looked_up, past=past)

    def cronjob(self, schedule: Key, uid: str) -> Body | None:
        """None unless it belongs to exactly this schedule."""
        if self.store.cronjobs.controller(schedule) != uid:
            return None
        return self.store.cronjobs.get(schedule)

    def forget(self, key: Key) -> None:
        """Drop what is kept for a backfill that is over or gone."""
        self._slots.pop(key, None)

    def _outcomes(
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
        self, key: Key, body: Body, observation: BackfillObservation
    ) -> Sequence[Slot]:
        """The slots that are not decided on yet. Raises HeldUpError."""
        spec, status = observation.spec, observation.previous
        if spec is None:
            return ()
        started = status.start_time or observation.now.replace(microsecond=0)
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
        """What matters of a schedule, cached: each backfill of a namespace reads all of them."""
        versions = self.store.schedules.version(schedule), self.store.cronjobs.version(schedule)
        known = self._candidates.get(schedule)
        if known is not None and known[0] == versions:
            return known[1]
        body = self.store.schedules.get(schedule)
        if body is None:
            self._candidates.pop(schedule, None)
            return None
        cronjob = self.cronjob(schedule, body["metadata"]["uid"])
        found = Candidate(schedule.name, _relevant(body), cronjob and _relevant(cronjob))
        if len(self._candidates) > CANDIDATES_LIMIT:
            self._candidates.clear()
        self._candidates[schedule] = versions, found
        return found

    async def _past(self, namespace: str, observation: BackfillObservation) -> tuple[int, Past]:
        """The past of so many slots, from the first on, as there are places to fill.

        Raises HeldUpError where nobody can say which runs are missing.
        """
        spec, slots = observation.spec, observation.slots
        if spec is None or slots is None:
            return 0, {}
        status = settle(observation.previous, observation.outcomes, observation.schedules)
        places = free_places(spec, status, slots)
        past: dict[tuple[str, datetime], SlotPast] = {}
        looked_up = chosen = 0
        while looked_up < len(slots) and chosen < places:
            batch = slots[looked_up : looked_up + BATCH]
            past |= await self._past_of(namespace, batch)
            chosen += len(choose(batch, past, spec.reprocess, places - chosen).runs)
            looked_up += len(batch)
        return looked_up, past

    async def _past_of(
        self, namespace: str, slots: Iterable[Slot]
    ) -> dict[tuple[str, datetime], SlotPast]:
        found: dict[tuple[str, datetime], SlotPast] = {}
        for uid, name, first, last in spans(slots):
            body = self.store.schedules.get(Key(namespace, name)) or {}
            report_type = str((body.get("spec") or {}).get("reportType", ""))
            span = SlotSpan(namespace, name, uid, report_type, first, last)
            try:
                runs = [run for source in self.past_runs for run in await source.of(span)]
            except PastRunsUnavailableError as error:
                raise HeldUpError(
                    BackfillReason.HISTORY_UNAVAILABLE,
                    f"nobody can say which runs are missing while history does not answer: {error}",
                ) from error
            found |= {(uid, slot): past for slot, past in by_slot(runs).items()}
        return found


def _relevant(body: Body) -> Body:
    """The part of a ReportSchedule or CronJob that decides whether and when it has slots."""
    meta, spec = body["metadata"], body["spec"]
    kept = ("uid", "creationTimestamp", "labels", "annotations")
    template = (spec.get("jobTemplate") or {}).get("metadata") or {}
    marks = template.get("annotations") or {}
    calendar = {k: marks[k] for k in (names.ANNOTATION_CALENDAR,) if k in marks}
    return {
        "status": {"lastScheduleTime": (body.get("status") or {}).get("lastScheduleTime")},
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {
            name: spec[name]
            for name in ("reportType", "tier", "schedule", "timeZone", "suspend")
            if name in spec
        }
        | ({"jobTemplate": {"metadata": {"annotations": calendar}}} if calendar else {}),
    }


def _spec(body: Body, lost: str) -> ReportBackfillSpec:
    try:
        refuse_lost_fields(lost)
        return parse_backfill_spec(body)
    except SpecError as error:
        raise HeldUpError(BackfillReason.INVALID_SPEC, str(error)) from error
