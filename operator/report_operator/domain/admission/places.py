"""Which places are taken by whom, and whether one is left for the next run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from report_operator.domain.admission.limits import TIERS, AdmissionLimits
from report_operator.domain.admission.waiting import Hold, Waiting
from report_operator.domain.checks import first_problem
from report_operator.domain.runs.run import Run

FORBID = "Forbid"
WAIT_FOR_A_PLACE = (Hold.OVERALL, Hold.BACKFILL_HEADROOM)  # overall, and nothing else


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a run back, and how many of how many places are taken."""

    hold: Hold
    taken: int = 0
    places: int = 0


class Places:
    """The places that are taken, while each waiting run in turn is given one or none."""

    def __init__(
        self,
        limits: AdmissionLimits,
        runs: Iterable[Run],
        not_starting: Collection[str],
        refused: Collection[str],
        suspended: Collection[str],
        holidays: Collection[str] = (),
    ) -> None:
        self.limits = limits
        self.refused = refused
        self.suspended = suspended
        self.holidays = holidays
        self.of_namespace: Counter[str] = Counter()  # all active runs
        self.share: Counter[str] = Counter()  # and those that only wait for a place overall
        # Schedules, by namespace too: a Job of another may name the same uid.
        self.busy: set[tuple[str, str]] = set()
        self.backfilled: set[tuple[str, str]] = set()
        every: Counter[tuple[str, str]] = Counter()  # by namespace and tier
        starting: Counter[tuple[str, str]] = Counter()  # of these, those that start or work
        for run in runs:
            if run.active or (run.handed_over and not run.finished):
                (self.backfilled if run.backfill else self.busy).add(_schedule(run))
            if not run.active or run.queue_name:  # Kueue's quotas count for these
                continue
            key = run.namespace, limits.of(run.namespace).tier(run.tier)
            every[key] += 1
            starting[key] += run.uid not in not_starting
            self.of_namespace[run.namespace] += 1
        self.share.update(self.of_namespace)
        self.overall = self._taken(limits.overall, every, starting)
        self.of_tier: dict[str, int] = defaultdict(int)
        for tier in TIERS:
            self.of_tier[tier] = self._taken(
                limits.per_tier.get(tier, limits.overall),
                *(_only(tier, c) for c in (every, starting)),
            )

    def _taken(
        self, places: int, every: Mapping[tuple[str, str], int],
        starting: Mapping[tuple[str, str], int],
    ) -> int:  # fmt: skip
        """Places taken. Jobs that bypass admission take none beyond those of their namespace."""
        counted, working = self._within_namespaces(every), self._within_namespaces(starting)
        return counted - min(counted - working, places)

    def _within_namespaces(self, counts: Mapping[tuple[str, str], int]) -> int:
        found: Counter[str] = Counter()
        for (namespace, _), count in counts.items():
            found[namespace] += count
        return sum(min(n, self.limits.places_of(name)) for name, n in found.items())

    def admit(self, run: Run, position: int) -> Waiting:
        """The run as it stands in the queue; it takes its place where there is one."""
        policy = self.limits.of(run.namespace)
        tier, priority = policy.tier(run.tier), policy.priority(run.priority)
        held = first_problem(CHECKS, Candidate(run, tier, self))
        if held is None:
            (self.backfilled if run.backfill else self.busy).add(_schedule(run))
        ours = not run.queue_name
        if held is None and ours:
            self.of_namespace[run.namespace] += 1
            self.overall += 1
            self.of_tier[tier] += 1
        if (held is None and ours) or (held and held.hold in WAIT_FOR_A_PLACE):
            self.share[run.namespace] += 1
        if held is None:
            return Waiting(run, position, tier, priority)
        return Waiting(run, position, tier, priority, held.hold, held.taken, held.places)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting run, its effective tier, and the places as they are when it is its turn."""

    run: Run
    tier: str
    places: Places


Check = Callable[[Candidate], Held | None]


def _refused(candidate: Candidate) -> Held | None:
    refused = candidate.run.uid in candidate.places.refused
    return Held(Hold.REFUSED) if refused else None


def _schedule_suspended(candidate: Candidate) -> Held | None:
    suspended = candidate.run.uid in candidate.places.suspended
    return Held(Hold.SUSPENDED) if suspended else None


def _on_a_holiday(candidate: Candidate) -> Held | None:
    return Held(Hold.HOLIDAY) if candidate.run.uid in candidate.places.holidays else None


def _schedule_busy(candidate: Candidate) -> Held | None:
    run, places = candidate.run, candidate.places
    if run.concurrency != FORBID:
        return None
    schedule = _schedule(run)
    # A backfill's run never keeps its schedule busy for one that is due or asked for.
    busy = schedule in places.busy or (bool(run.backfill) and schedule in places.backfilled)
    return Held(Hold.SCHEDULE_BUSY) if busy else None


def _namespace_full(candidate: Candidate) -> Held | None:
    limits, namespace = candidate.places.limits, candidate.run.namespace
    taken, places = candidate.places.of_namespace[namespace], limits.places_of(namespace)
    if taken < places:
        return None
    return Held(Hold.NAMESPACE if places < limits.overall else Hold.OVERALL, taken, places)


def _tier_full(candidate: Candidate) -> Held | None:
    places = candidate.places.limits.per_tier.get(candidate.tier)
    if places is None:
        return None
    return _full(candidate, candidate.places.of_tier[candidate.tier], places, Hold.TIER)


def _overall_full(candidate: Candidate) -> Held | None:
    overall = candidate.places.limits.overall
    return _full(candidate, candidate.places.overall, overall, Hold.OVERALL)


def _handed_over(candidate: Candidate) -> Held | None:
    return Held(Hold.KUEUE) if candidate.run.handed_over else None


def _ours(check: Check) -> Check:
    """The check for runs that our own gate lets start; those of Kueue pass it."""
    return lambda candidate: None if candidate.run.queue_name else check(candidate)


CHECKS: tuple[Check, ...] = (
    _handed_over,  # to Kueue, which lets it start
    _refused,  # by the API server a moment ago; its place goes to the next run
    _schedule_suspended,
    _on_a_holiday,  # of its calendar
    _schedule_busy,  # concurrencyPolicy Forbid
    _ours(_namespace_full),
    _ours(_tier_full),  # or what the tier leaves to backfills is
    _ours(_overall_full),  # likewise
)


def _full(candidate: Candidate, taken: int, places: int, hold: Hold) -> Held | None:
    if taken >= places:
        return Held(hold, taken, places)
    for_backfills = candidate.places.limits.for_backfills(places)
    if candidate.run.backfill and taken >= for_backfills:
        return Held(Hold.BACKFILL_HEADROOM, taken, for_backfills)
    return None


def _schedule(run: Run) -> tuple[str, str]:
    return run.namespace, run.schedule_uid


def _only(tier: str, counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: count for key, count in counts.items() if key[1] == tier}
