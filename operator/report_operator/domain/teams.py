"""The label `team` of metrics and alerts, by which Alertmanager chooses who is told.

The namespace decides, since the platform engineer hands it out. An author names another team only
among those that the platform engineer has allowed his namespace: nobody sends his alerts to a
neighbour, nor away from everybody, and there are as many values as the configuration has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from report_operator.domain.names import ANNOTATION_OWNER


@dataclass(frozen=True, slots=True)
class NamespaceTeams:
    """The team of a namespace, and others that its schedules may name as their owner."""

    team: str
    owners: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Teams:
    """Without an entry the team of a namespace has its name."""

    namespaces: Mapping[str, NamespaceTeams] = field(default_factory=dict)

    def of_namespace(self, namespace: str) -> str:
        found = self.namespaces.get(namespace)
        return found.team if found else namespace

    def of(self, namespace: str, annotations: Mapping[str, str]) -> str:
        """The team of a ReportSchedule with these annotations."""
        owner = " ".join(str(annotations.get(ANNOTATION_OWNER) or "").split())
        found = self.namespaces.get(namespace)
        return owner if found and owner in found.owners else self.of_namespace(namespace)
