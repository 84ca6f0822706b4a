"""Who is next in the queue, and what holds each waiting run back.

Runs of backfills come last; then the priority decides, then the fair share (the namespace that
holds the fewest places is served first), then the slot. A namespace takes at most its own places,
whatever its Jobs say of themselves: labels and annotations of a Job are its author's words.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from report_operator.domain.runs.run import Pod, Run, Stage

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
TIERS = {"critical": 0, "standard": 1, "bulk": 2}
FORBID = "Forbid"


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    """What the runs of one namespace may have. `max_active` None: as many as there are places."""

    max_active: int | None = None
    highest_tier: str = "critical"
    highest_priority: str = "high"

    def tier(self, declared: str) -> str:
        """The tier that counts: the declared one where it is allowed, else the highest allowed."""
        return _at_most(declared, self.highest_tier, TIERS, "standard")

    def priority(self, declared: str) -> str:
        """The priority that counts, likewise."""
        return _at_most(declared, self.highest_priority, PRIORITIES, "normal")


def _at_most(declared: str, highest: str, ranks: Mapping[str, int], unknown: str) -> str:
    known = declared if declared in ranks else unknown
    return known if ranks[known] >= ranks[highest] else highest


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many runs may be active at once, overall and in a tier; a tier not named has no limit.

    Runs of backfills leave `headroom` of these places to the schedules, but for one. `namespaces`
    are the exceptions from `policy`.
    """

    overall: int
    per_tier: Mapping[str, int] = field(default_factory=dict)
    headroom: int = 1
    policy: NamespacePolicy = field(default_factory=NamespacePolicy)
    namespaces: Mapping[str, NamespacePolicy] = field(default_factory=dict)

    def of(self, namespace: str) -> NamespacePolicy:
        """The policy of a namespace."""
        return self.namespaces.get(namespace, self.policy)

    def places_of(self, namespace: str) -> int:
        """How many places a namespace may take."""
        most = self.of(namespace).max_active
        return self.overall if most is None else min(most, self.overall)

    def for_backfills(self, places: int) -> int:
        """How many of these places runs of backfills may take."""
        return max(places - self.headroom, min(places, 1))


class Hold(StrEnum):
    """What holds a waiting run back."""

    SCHEDULE_BUSY = "ScheduleBusy"
    NAMESPACE = "NamespaceLimit"
    TIER = "TierLimit"
    OVERALL = "OverallLimit"
    BACKFILL_HEADROOM = "BackfillHeadroom"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the queue. `hold` None: it may start now."""

    run: Run
    position: int  # from 1
    tier: str  # that counts
    priority: str  # that counts
    hold: Hold | None = None
    taken: int = 0
    places: int = 0  # of which so many are taken

    @property
    def note(self) -> str | None:
        """What the run declares and its namespace may not have."""
        told = [
            f"{what} {declared} is not allowed in {self.run.namespace}: {counts} counts"
            for what, declared, counts in (
                ("priority", self.run.priority, self.priority), ("tier", self.run.tier, self.tier),
            )
            if declared != counts
        ]  # fmt: skip
        return "; ".join(told) or None

    @property
    def reason(self) -> str:
        """What it waits for, for a person; '' where it may start now."""
        places = f"{self.taken} of {self.places} places"
        match self.hold:
            case None:
                return ""
            case Hold.SCHEDULE_BUSY:
                return "another run of its schedule has not ended (concurrencyPolicy Forbid)"
            case Hold.NAMESPACE:
                return f"{places} of namespace {self.run.namespace} are taken"
            case Hold.TIER:
                return f"{places} of tier {self.tier} are taken"
            case Hold.OVERALL:
                return f"{places} are taken"
            case Hold.BACKFILL_HEADROOM:
                return f"{places} for runs of backfills are taken, the others are the schedules'"
            case Hold.REFUSED:
                return "the API server refused to let it start; the operator tries again"


@dataclass(frozen=True)
class Queue:
    """All waiting runs in their order, and the places as they were before any of them starts."""

    waiting: Sequence[Waiting]
    taken: int
    places: int
    not_starting: Sequence[Run] = ()  # admitted runs that do not start, oldest first

    @property
    def admissible(self) -> list[Run]:
        """Those that may start now, in the order in which they should."""
        return [entry.run for entry in self.waiting if entry.hold is None]

    @property
    def not_starting_by_namespace(self) -> Mapping[str, int]:
        """How many runs do not start."""
        return Counter(run.namespace for run in self.not_starting)

    @cached_property
    def by_uid(self) -> Mapping[str, Waiting]:
        """By the Job's uid."""
        return {entry.run.uid: entry for entry in self.waiting}


def start_overdue_since(run: Run, newest: Pod | None) -> datetime | None:
    """From when on an admitted run should have had a pod that runs; None where it has one.

    `newest` is the run's newest pod. Without pods, which not everybody follows, a run between two
    attempts counts as one that works.
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
    """Whether an admitted run has no pod that runs, for longer than it should."""
    since = start_overdue_since(run, newest)
    if since is None:
        return False
    if since > now:  # an annotation, which anybody may have written
        since = run.created_at
    return now - since >= grace


def is_active(run: Run) -> bool:
    """Whether the run is admitted and not over."""
    return not run.suspended and not run.finished


def waits(run: Run) -> bool:
    """Whether the run stands in the queue."""
    return run.suspended and not run.finished and not run.deleting and not run.termination_reason


def make_queue(
    runs: Iterable[Run],
    limits: AdmissionLimits,
    not_starting: Collection[str] = (),
    refused: Collection[str] = (),
) -> Queue:
    """The queue of all that waits among the runs.

    `not_starting` are uids of active runs that do not start: they take places of their namespace
    only, as long as there are no more of them than places overall. `refused` are uids of waiting
    runs that the API server does not let start just now.

    A run that its tier, its namespace or its schedule's concurrency policy holds back does not hold
    back others behind it. A run that is being deleted still counts: its pod may still work. A run
    of a backfill never keeps its schedule busy for one that is due or asked for.
    """
    known = list(runs)
    places = _Places(limits, known, not_starting)
    taken = places.overall
    waiting = [
        places.place(run, position, refused=run.uid in refused)
        for position, run in enumerate(_in_order(known, limits, places), 1)
    ]
    stuck = [run for run in known if run.uid in not_starting and is_active(run)]
    stuck.sort(key=lambda run: (run.admitted_at or run.created_at, run.namespace, run.name))
    return Queue(waiting, taken, limits.overall, stuck)


class _Places:
    """Who holds which places, while one waiting run after another is given one or none."""

    def __init__(
        self, limits: AdmissionLimits, runs: Iterable[Run], not_starting: Collection[str]
    ) -> None:
        self._limits = limits
        self.of_namespace: Counter[str] = Counter()  # all active runs
        self.share: Counter[str] = Counter()  # and those that only wait for a place overall
        # Schedules, by namespace too: a Job elsewhere may claim to be theirs.
        self._busy: set[tuple[str, str]] = set()
        self._backfilled: set[tuple[str, str]] = set()
        every: Counter[tuple[str, str]] = Counter()  # by namespace and tier
        starting: Counter[tuple[str, str]] = Counter()  # of these, those that start or work
        for run in runs:
            if not is_active(run):
                continue
            key = run.namespace, limits.of(run.namespace).tier(run.tier)
            every[key] += 1
            starting[key] += run.uid not in not_starting
            self.of_namespace[run.namespace] += 1
            (self._backfilled if run.backfill else self._busy).add(_schedule(run))
        self.share.update(self.of_namespace)
        self.overall = self._taken(limits.overall, every, starting)
        self._of_tier: dict[str, int] = defaultdict(int)
        for tier in TIERS:
            self._of_tier[tier] = self._taken(
                limits.per_tier.get(tier, limits.overall),
                *(_only(tier, c) for c in (every, starting)),
            )

    def _taken(
        self, places: int, every: Mapping[tuple[str, str], int],
        starting: Mapping[tuple[str, str], int],
    ) -> int:  # fmt: skip
        """Places taken. A Job that was made without the gate takes none beyond its namespace's."""
        counted, working = self._within_namespaces(every), self._within_namespaces(starting)
        return counted - min(counted - working, places)

    def _within_namespaces(self, counts: Mapping[tuple[str, str], int]) -> int:
        found: Counter[str] = Counter()
        for (namespace, _), count in counts.items():
            found[namespace] += count
        return sum(min(n, self._limits.places_of(name)) for name, n in found.items())

    def place(self, run: Run, position: int, *, refused: bool) -> Waiting:
        """The run as it stands in the queue; it takes its place where there is one."""
        policy = self._limits.of(run.namespace)
        tier, priority = policy.tier(run.tier), policy.priority(run.priority)
        hold, taken, places = (Hold.REFUSED, 0, 0) if refused else self._hold(run, tier)
        if hold is None:
            self.of_namespace[run.namespace] += 1
            self.overall += 1
            self._of_tier[tier] += 1
            (self._backfilled if run.backfill else self._busy).add(_schedule(run))
        if hold in (None, Hold.OVERALL, Hold.BACKFILL_HEADROOM):
            self.share[run.namespace] += 1
        return Waiting(run, position, tier, priority, hold, taken, places)

    def _hold(self, run: Run, tier: str) -> tuple[Hold | None, int, int]:
        """What holds the run back, with the places that are taken of how many."""
        limits, backfill = self._limits, bool(run.backfill)
        schedule = _schedule(run)
        in_the_way = schedule in self._busy or (backfill and schedule in self._backfilled)
        if run.concurrency == FORBID and in_the_way:
            return Hold.SCHEDULE_BUSY, 0, 0
        taken, places = self.of_namespace[run.namespace], limits.places_of(run.namespace)
        if taken >= places:
            return Hold.NAMESPACE if places < limits.overall else Hold.OVERALL, taken, places
        most = limits.per_tier.get(tier)
        limited = [] if most is None else [(self._of_tier[tier], most, Hold.TIER)]
        for taken, places, hold in (*limited, (self.overall, limits.overall, Hold.OVERALL)):
            if taken >= places:
                return hold, taken, places
            if backfill and taken >= limits.for_backfills(places):
                return Hold.BACKFILL_HEADROOM, taken, limits.for_backfills(places)
        return None, 0, 0


def _schedule(run: Run) -> tuple[str, str]:
    return run.namespace, run.schedule_uid


def _only(tier: str, counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: count for key, count in counts.items() if key[1] == tier}


_Key = tuple[datetime, datetime, str, str]


def _in_order(runs: Iterable[Run], limits: AdmissionLimits, places: _Places) -> Iterator[Run]:
    """Waiting runs, the next one first; `places` tells each namespace's share as it grows."""
    groups: dict[tuple[bool, int], dict[str, list[tuple[_Key, Run]]]] = {}
    for run in runs:
        if waits(run):
            priority = limits.of(run.namespace).priority(run.priority)
            group = groups.setdefault((bool(run.backfill), PRIORITIES[priority]), {})
            key = run.slot, run.created_at, run.namespace, run.name
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
