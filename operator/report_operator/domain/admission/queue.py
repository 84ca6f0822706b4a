"""The order of the queue, and what holds each waiting run back.

Runs of backfills come last; then the priority decides, then the fair share (the namespace that
holds the fewest places is served first), then the slot; a run that somebody asked for counts from
when that was, so that an older date goes before no slot that is due. A namespace takes at most its
own places, whatever its Jobs declare: labels and annotations are whatever a Job's author wrote.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from report_operator.domain.admission.limits import PRIORITIES, AdmissionLimits
from report_operator.domain.admission.places import Places
from report_operator.domain.admission.waiting import Waiting
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run, Stage


@dataclass(frozen=True)
class Queue:
    """All waiting runs in their order, and the places before any of them starts."""

    waiting: Sequence[Waiting]
    taken: int
    places: int
    not_starting: Sequence[Run] = ()  # admitted runs that do not start, oldest first

    @property
    def admissible(self) -> list[Run]:
        """The runs that may start now, in the order in which they should."""
        return [entry.run for entry in self.waiting if entry.hold is None]

    @property
    def not_starting_by_namespace(self) -> Mapping[str, int]:
        return Counter(run.namespace for run in self.not_starting)

    @cached_property
    def by_uid(self) -> Mapping[str, Waiting]:
        """By Job uid."""
        return {entry.run.uid: entry for entry in self.waiting}


def start_overdue_since(run: Run, newest: Pod | None) -> datetime | None:
    """From when on an admitted run should have had a running pod; None where it has one.

    `newest` is the run's newest pod. Without pods, which some callers do not watch, a run between
    two attempts counts as working.
    """
    if run.suspended or run.finished or run.deleting:
        return None
    if run.stage is Stage.PENDING:
        if newest is not None:
            return None if newest.ended or newest.started_at else newest.created_at
        return run.admitted_at
    if run.stage is Stage.RETRYING and newest is not None:
        return None if newest.ended or newest.started_at else newest.created_at
    return None


def does_not_start(run: Run, newest: Pod | None, grace: timedelta, now: datetime) -> bool:
    """Whether an admitted run has had no running pod for longer than `grace`."""
    since = start_overdue_since(run, newest)
    if since is None:
        return False
    if since > now:  # an annotation, which anybody may have written
        since = run.created_at
    return now - since >= grace


def make_queue(
    runs: Iterable[Run],
    limits: AdmissionLimits,
    not_starting: Collection[str] = (),
    refused: Collection[str] = (),
    suspended: Collection[str] = (),
    holidays: Collection[str] = (),
) -> Queue:
    """The queue of all waiting runs.

    `not_starting` are uids of active runs that do not start: they take places of their namespace
    only, as long as there are no more of them than places overall. `refused` are uids of waiting
    runs that the API server does not let start just now, `suspended` those of scheduled runs whose
    schedule is suspended, `holidays` those that a calendar holds back (`held_by_calendar`); what
    somebody asked for by name runs all the same.

    A run that its tier, its namespace or its schedule's concurrency policy holds back does not hold
    back others behind it. A run that is being deleted still counts: its pod may still work. A run
    of a backfill never keeps its schedule busy for one that is due or asked for.

    A run of a LocalQueue of Kueue takes no place here. Once it is handed over it comes after all
    others, whose order does not depend on it.
    """
    known = list(runs)
    places = Places(limits, known, not_starting, refused, suspended, holidays)
    taken = places.overall
    waiting = [
        places.admit(run, position)
        for position, run in enumerate(_in_order(known, limits, places), 1)
    ]
    stuck = [run for run in known if run.uid in not_starting and run.active]
    stuck.sort(key=lambda run: (run.admitted_at or run.created_at, run.namespace, run.name))
    return Queue(waiting, taken, limits.overall, stuck)


def held_by_calendar(runs: Iterable[Run], now: datetime) -> set[str]:
    """Uids of waiting runs whose slot is on a day off: skipped, or moved to a day to come."""
    return {
        run.uid
        for run in runs
        if run.waiting and (run.calendar_verdict.skipped or run.waits_for_its_day(now))
    }


def _due_at(run: Run) -> datetime:
    """The slot, or the day that the calendar moved it to.

    Of a run that somebody asked for by name when that was, if later. Of a run that asks again
    whether its data are ready when that was due: however old its slot, it goes before no run that
    was due by then.
    """
    wait = run.data_wait
    if wait is not None and wait.enqueued_at is not None:
        return max(run.due_at, wait.enqueued_at)
    asked_for = run.manual and not run.backfill
    return max(run.slot, run.created_at) if asked_for else run.due_at


_Key = tuple[datetime, datetime, str, str]


def _in_order(runs: Iterable[Run], limits: AdmissionLimits, places: Places) -> Iterator[Run]:
    """Waiting runs, the next one first; `places` has each namespace's share as it grows."""
    known = list(runs)
    groups: dict[tuple[bool, int], dict[str, list[tuple[_Key, Run]]]] = {}
    for run in known:
        if run.waiting and not run.handed_over:
            priority = limits.of(run.namespace).priority(run.priority)
            group = groups.setdefault((bool(run.backfill), PRIORITIES[priority]), {})
            key = _due_at(run), run.created_at, run.namespace, run.name
            group.setdefault(run.namespace, []).append((key, run))
    for _, group in sorted(groups.items()):
        for queue in group.values():
            queue.sort(key=lambda entry: entry[0], reverse=True)  # taken from the end
        heads = [(places.share[name], queue[-1][0]) for name, queue in group.items()]
        heapq.heapify(heads)
        while heads:
            _, key = heads[0]
            namespace = key[2]
            queue = group[namespace]
            yield queue.pop()[1]
            # Only this namespace's share has changed meanwhile.
            if queue:
                heapq.heapreplace(heads, (places.share[namespace], queue[-1][0]))
            else:
                heapq.heappop(heads)
    yield from sorted(
        (run for run in known if run.waiting and run.handed_over),
        key=lambda run: (_due_at(run), run.created_at, run.namespace, run.name),
    )
