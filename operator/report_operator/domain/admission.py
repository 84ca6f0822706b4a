"""Who is next in the queue: priority, then slot, under limits; runs of backfills come last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from report_operator.domain.run import Run

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
FORBID = "Forbid"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs may be active at once, overall and in a tier; a tier not named has no limit.

    Runs of backfills leave `headroom` of these places to the schedules, but for one.
    """

    overall: int
    per_tier: Mapping[str, int] = field(default_factory=dict)
    headroom: int = 1

    def places(self, tier: str, *, backfill: bool) -> tuple[int, int | None]:
        """Up to how many active runs, overall and in the tier, one more may start."""
        of_tier = self.per_tier.get(tier)
        if not backfill:
            return self.overall, of_tier
        return self._without_headroom(self.overall), (
            None if of_tier is None else self._without_headroom(of_tier)
        )

    def _without_headroom(self, places: int) -> int:
        return max(places - self.headroom, min(places, 1))


def queue_order(runs: Iterable[Run]) -> list[Run]:
    """Waiting runs, the next one first."""
    return sorted(
        (
            run
            for run in runs
            if run.suspended and not run.finished and not run.deleting and not run.forced_reason
        ),
        key=lambda run: (
            bool(run.backfill),
            PRIORITIES.get(run.priority, PRIORITIES["normal"]),
            run.slot,
            run.created_at,
            run.namespace,
            run.name,
        ),
    )


def admissible(runs: Iterable[Run], limits: Limits) -> list[Run]:
    """The waiting runs that may start now, in the order in which they should.

    A run that its tier or its schedule's concurrency policy holds back does not hold back
    others behind it. A run that is being deleted still counts: its pod may still work. A run of a
    backfill never keeps its schedule busy for one that is due or asked for.
    """
    known = list(runs)
    active = [run for run in known if not run.suspended and not run.finished]
    overall = len(active)
    tiers = Counter(run.tier for run in active)
    busy = {run.schedule_uid for run in active if not run.backfill}
    backfilled = {run.schedule_uid for run in active if run.backfill}
    admitted: list[Run] = []
    for run in queue_order(known):
        most, most_of_tier = limits.places(run.tier, backfill=bool(run.backfill))
        if overall >= most:
            break  # those behind it have no more places
        if most_of_tier is not None and tiers[run.tier] >= most_of_tier:
            continue
        in_the_way = busy | backfilled if run.backfill else busy
        if run.concurrency == FORBID and run.schedule_uid in in_the_way:
            continue
        admitted.append(run)
        overall += 1
        tiers[run.tier] += 1
        (backfilled if run.backfill else busy).add(run.schedule_uid)
    return admitted
