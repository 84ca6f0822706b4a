"""Clearing the dead letters everywhere, by one annotation of the operator's Lease.

The runs stay failed, in status, history and alerts; only the list of what is to be done is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from admin_api.schemas.jobs import Job
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.lease import LastClearing
from report_operator.domain.runs.dead_letter import is_cleared
from report_operator.domain.times import format_time


@dataclass(frozen=True, slots=True)
class Clearing:
    """How many failures go, and the newest instant among them; None where none goes."""

    count: int
    through: datetime | None


def plan_clearing(dead: Iterable[Job], seen_through: datetime | None) -> Clearing:
    """The failures that a person has seen: those until `seen_through`, or all there are now.

    Never an instant to come: what fails later has to appear.
    """
    failed = [
        job.failed_at
        for job in dead
        if job.failed_at is not None
        and (seen_through is None or is_cleared(job.failed_at, seen_through))
    ]
    return Clearing(len(failed), max(failed, default=None))


async def clear(
    cluster: Cluster, audit: Audit, seen_through: datetime | None, requested_by: str
) -> Clearing:
    """Clear, and record who did. Raises RefusedError, and what Cluster raises."""
    leader = await cluster.leader()  # also observes what somebody else has cleared
    planned = plan_clearing((await cluster.snapshot()).dead_letters, seen_through)
    if planned.through is not None:
        clearing = LastClearing(planned.through, requested_by, audit.clock())
        await cluster.clear_dead_letters(clearing)
        lease = ObjectReference(
            "coordination.k8s.io/v1", "Lease", cluster.namespace, cluster.lease_name, leader.uid
        )
        target = f"{planned.count} dead letters, failed until {format_time(planned.through)}"
        await audit.record(AuditAction.CLEAR, requested_by, target, lease)
    return planned
