"""How many runs may be active at once, and what the runs of a namespace may claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PRIORITIES = {"high": 0, "normal": 1, "low": 2}
TIERS = {"critical": 0, "standard": 1, "bulk": 2}


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    """Limits of one namespace. `max_active` None: as many as there are places."""

    max_active: int | None = None
    highest_tier: str = "critical"
    highest_priority: str = "high"

    def tier(self, declared: str) -> str:
        """The effective tier: the declared one where it is allowed, else the highest allowed."""
        return _at_most(declared, self.highest_tier, TIERS, "standard")

    def priority(self, declared: str) -> str:
        """The effective priority, likewise."""
        return _at_most(declared, self.highest_priority, PRIORITIES, "normal")


def _at_most(declared: str, highest: str, ranks: Mapping[str, int], unknown: str) -> str:
    known = declared if declared in ranks else unknown
    return known if ranks[known] >= ranks[highest] else highest


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limits of active runs, overall and by tier; a tier that is not named has no limit.

    Backfills leave `headroom` of these places to the schedules, and may always use one.
    `namespaces` are the exceptions from `policy`.
    """

    overall: int
    per_tier: Mapping[str, int] = field(default_factory=dict)
    headroom: int = 1
    policy: NamespacePolicy = field(default_factory=NamespacePolicy)
    namespaces: Mapping[str, NamespacePolicy] = field(default_factory=dict)

    def of(self, namespace: str) -> NamespacePolicy:
        return self.namespaces.get(namespace, self.policy)

    def places_of(self, namespace: str) -> int:
        """How many places the runs of a namespace may take."""
        most = self.of(namespace).max_active
        return self.overall if most is None else min(most, self.overall)

    def for_backfills(self, places: int) -> int:
        """How many of so many places the runs of backfills may take."""
        return max(places - self.headroom, min(places, 1))
