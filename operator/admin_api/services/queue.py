"""The queue as the API shows it: the domain's order, what holds each run back, likely starts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from admin_api.schemas.jobs import JobStatus
from admin_api.schemas.queue import QueueEntry, QueuePage, QueueQuery
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.domain.admission.forecast import (
    FORECAST_LIMIT,
    likely_starts,
    typical_duration,
)
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import (
    Queue,
    does_not_start,
    held_by_calendar,
    make_queue,
)
from report_operator.domain.admission.waiting import Waiting
from report_operator.domain.names import job_id
from report_operator.domain.runs.pending import explain_pending
from report_operator.domain.runs.run import Run
from report_runner.contract.words import counted

SAMPLE = 3  # runs that do not start whose pods are read
REASON_SECONDS = 10.0  # that a pod's reason is cached
QUEUE_SECONDS = 1.0  # that the queue of an unchanged snapshot is cached
NAMED = 5  # namespaces in one message


@dataclass(slots=True)
class QueueView:
    """The operator's admission rules, applied to the API's own snapshots."""

    cluster: Cluster
    clock: Callable[[], datetime]
    limits: AdmissionLimits
    start_grace: timedelta
    _reasons: TTLCache[Run, str] = field(init=False)
    _last: tuple[Snapshot, float, Queue] | None = None  # of a snapshot, when it was made, monotonic

    def __post_init__(self) -> None:
        self._reasons = TTLCache(self._read_reason, REASON_SECONDS)

    def queue(self, snapshot: Snapshot) -> Queue:
        """The queue in the operator's order.

        The API does not watch pods, so a run between two pods counts as one that works.
        """
        if self._last is not None:
            known, made_at, queue = self._last
            if known is snapshot and time.monotonic() - made_at < QUEUE_SECONDS:
                return queue
        now = self.clock()
        stuck = {r.uid for r in snapshot.runs if does_not_start(r, None, self.start_grace, now)}
        held = {schedule.uid for schedule in snapshot.schedules if schedule.suspended}
        suspended = {r.uid for r in snapshot.runs if r.scheduled and r.schedule_uid in held}
        holidays = held_by_calendar(snapshot.runs, now)
        queue = make_queue(
            snapshot.runs, self.limits, stuck, suspended=suspended, holidays=holidays
        )
        self._last = snapshot, time.monotonic(), queue
        return queue

    def starts(self, snapshot: Snapshot, queue: Queue) -> dict[str, datetime]:
        """Likely start times, by Job uid."""
        if not queue.waiting:
            return {}
        durations = durations_of(snapshot)
        return likely_starts(snapshot.runs, queue, self.limits, durations, self.clock())

    async def problem(self, queue: Queue) -> str:
        """Why admission is stuck; '' where it is not. Raises what Cluster raises."""
        if not queue.waiting or not queue.not_starting:
            return ""
        reasons = [await self._reasons.get(run) for run in queue.not_starting[:SAMPLE]]
        return describe_problem(queue, reasons)

    async def _read_reason(self, run: Run) -> str:
        # The operator reads Events as well; until it has, the pod's own fields have to do.
        if self._last is not None:
            job = self._last[0].by_name.get((run.namespace, run.name))
            if job is not None and job.reason is not None:
                return f"{job.reason.value}: {job.error_message}"
        pods = await self.cluster.pods_of(run)
        found = explain_pending(pods[-1] if pods else None, ())
        return f"{found.cause.reason.value}: {found.cause.message}" if found else ""


def durations_of(snapshot: Snapshot) -> dict[str, timedelta]:
    """Typical time from admission to end, by uid of the schedule."""
    uids = {run.schedule_uid for run in snapshot.runs if not run.finished}
    found: dict[str, timedelta] = {}
    for schedule in snapshot.schedules:
        if schedule.uid in uids:
            typical = typical_duration(
                (job.pending_seconds or 0) + job.run_seconds
                for job in schedule.ended.values()
                if job.status is JobStatus.SUCCEEDED and job.run_seconds is not None
            )
            if typical is not None:
                found[schedule.uid] = typical
    return found


def describe_problem(queue: Queue, reasons: Sequence[str]) -> str:
    counts = Counter(queue.not_starting_by_namespace).most_common()
    named = ", ".join(f"{namespace} {count}" for namespace, count in counts[:NAMED])
    more = f" and {counted(len(counts) - NAMED, 'more namespace')}" if len(counts) > NAMED else ""
    common = Counter(reason for reason in reasons if reason).most_common(1)
    because = f", because {common[0][0]}" if common else ""
    return (
        f"admission: {queue.taken} of {counted(queue.places, 'place')} taken, "
        f"{counted(len(queue.waiting), 'waits', 'wait')}, and "
        f"{counted(len(queue.not_starting), 'admitted run does', 'admitted runs do')} not start "
        f"({named}{more}){because}"
    )


def describe_entry(entry: Waiting, report_type: str, starts: Mapping[str, datetime]) -> QueueEntry:
    run = entry.run
    return QueueEntry(
        position=entry.position,
        id=job_id(run.namespace, run.schedule, run.slot, run.attempt),
        report_type=report_type,
        namespace=run.namespace,
        schedule=run.schedule,
        job=run.name,
        tier=entry.tier,
        priority=entry.priority,
        note=entry.note,
        slot=run.slot,
        enqueued_at=run.created_at,
        backfill=run.backfill or None,
        hold=entry.hold,
        waits_for=entry.reason or None,
        likely_start=starts.get(run.uid),
    )


def page_of(view: QueueView, snapshot: Snapshot, query: QueueQuery) -> QueuePage:
    """The waiting runs after the position `query.after`."""
    queue = view.queue(snapshot)
    chosen = queue.waiting[query.after : query.after + query.limit]
    starts = view.starts(snapshot, queue) if query.after < FORECAST_LIMIT else {}
    types = {schedule.uid: schedule.report_type for schedule in snapshot.schedules}
    end = query.after + len(chosen)
    return QueuePage(
        queue=[describe_entry(entry, types.get(entry.run.schedule_uid, ""), starts)
               for entry in chosen],
        total=len(queue.waiting),
        places=queue.places,
        places_taken=queue.taken,
        not_starting=dict(queue.not_starting_by_namespace),
        next=end if end < len(queue.waiting) else None,
    )  # fmt: skip
