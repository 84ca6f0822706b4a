"""When waiting runs are likely to start, by how long past runs of the schedules took."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import Queue, make_queue
from report_operator.domain.admission.waiting import Hold
from report_operator.domain.runs.run import Run

FORECAST_LIMIT = 100  # runs at the head of the queue: the further behind, the less is known


def typical_duration(seconds: Iterable[int]) -> timedelta | None:
    """Of a schedule, from the seconds between admission and end of past runs; None: unknown."""
    known = list(seconds)
    return timedelta(seconds=statistics.median(known)) if known else None


def likely_starts(
    runs: Iterable[Run],
    queue: Queue,
    limits: AdmissionLimits,
    durations: Mapping[str, timedelta],
    now: datetime,
) -> dict[str, datetime]:
    """When the first runs of the queue are likely to start, by Job uid; absent: unknown.

    `durations` are by uid of the schedule. Active runs are taken to end after their usual duration,
    or now if they are over that; one whose duration is unknown, or which does not start, is taken
    to stay. New runs that come meanwhile are not foreseen.
    """
    stuck = {run.uid for run in queue.not_starting}
    active = {run.uid: run for run in runs if run.active}
    waiting = {
        entry.run.uid: entry.run
        for entry in queue.waiting[:FORECAST_LIMIT]
        if entry.hold not in (Hold.SUSPENDED, Hold.HOLIDAY) and not entry.run.queue_name
    }
    ends = {
        run.uid: max((run.admitted_at or run.created_at) + durations[run.schedule_uid], now)
        for run in active.values()
        if run.schedule_uid in durations and run.uid not in stuck
    }
    starts: dict[str, datetime] = {}
    moment = now
    while True:
        for run in make_queue((*active.values(), *waiting.values()), limits, stuck).admissible:
            starts[run.uid] = moment
            active[run.uid] = replace(waiting.pop(run.uid), suspended=False)
            if run.schedule_uid in durations:
                ends[run.uid] = moment + durations[run.schedule_uid]
        if not waiting or not ends:
            return starts
        ended = min(ends, key=lambda uid: (ends[uid], uid))
        moment = ends.pop(ended)
        del active[ended]
