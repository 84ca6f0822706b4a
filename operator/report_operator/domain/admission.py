"""Who is next in the queue: priority, then slot, under limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from report_operator.domain.run import Run

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
FORBID = "Forbid"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs may be active at once, overall and in a tier; a tier not named has no limit."""

    overall: int
    per_tier: Mapping[str, int] = field(default_factory=dict)


def queue_order(runs: Iterable[Run]) -> list[Run]:
    """Waiting runs, the next one first."""
    return sorted(
        (
            run
            for run in runs
            if run.suspended and not run.finished and not run.deleting and not run.forced_reason
        ),
        key=lambda run: (
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
    others behind it. A run that is being deleted still counts: its pod may still work.
    """
    known = list(runs)
    active = [run for run in known if not run.suspended and not run.finished]
    overall = len(active)
    tiers = Counter(run.tier for run in active)
    busy = {run.schedule_uid for run in active}
    admitted: list[Run] = []
    for run in queue_order(known):
        if overall >= limits.overall:
            break
        if tiers[run.tier] >= limits.per_tier.get(run.tier, overall + 1):
            continue
        if run.concurrency == FORBID and run.schedule_uid in busy:
            continue
        admitted.append(run)
        overall += 1
        tiers[run.tier] += 1
        busy.add(run.schedule_uid)
    return admitted
