"""State of the scheduler, from its Lease, its schedules and what it depends on."""

from __future__ import annotations

from collections.abc import Sequence

from admin_api.errors import UNREACHABLE
from admin_api.schemas.status import Check, DatabaseHealth, Health, SchedulerState, SchedulerStatus
from admin_api.services.backends import timed
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from report_operator.adapters.postgres.reader import DatabaseState
from report_operator.api.v1alpha1.status import ScheduleHealth

SILENT_AFTER = 3  # lease durations without a renewal


def describe_status(
    leader: Leader, snapshot: Snapshot, checks: Sequence[Check], admission_problem: str = ""
) -> SchedulerStatus:
    statuses = [schedule.status for schedule in snapshot.schedules]
    not_ready = sum(
        any(c.type == "Ready" and c.status == "False" for c in status.conditions)
        for status in statuses
    )
    delayed = sum(status.delay is not None for status in statuses)
    degraded = describe_dependencies(snapshot, checks, admission_problem)
    if not_ready:
        degraded.append(f"not Ready: {not_ready} of {len(statuses)} ReportSchedules")
    if delayed:
        degraded.append(f"late: {delayed} of {len(statuses)} ReportSchedules")
    state = SchedulerState.DEGRADED if degraded else SchedulerState.HEALTHY
    if leader.stopping:
        state = SchedulerState.STOPPING
    elif not is_leading(leader):
        state = SchedulerState.DOWN
    return SchedulerStatus(
        status=state,
        uptime=_uptime(leader),
        active_jobs=sum(status.active for status in statuses),
        queue_depth=sum(status.queued for status in statuses),
        last_heartbeat=leader.renewed_at,
        degraded=degraded,
        schedules=len(statuses),
        failing=sum(status.health is ScheduleHealth.FAILING for status in statuses),
        delayed=delayed,
    )


def describe_dependencies(
    snapshot: Snapshot, checks: Sequence[Check], admission_problem: str
) -> list[str]:
    """What is degraded besides the schedules, one a line."""
    found = [f"{check.name}: {check.reason}" for check in checks if not check.ok]
    if admission_problem:
        found.append(admission_problem)
    return found + [f"skipped: {line}" for line in snapshot.skipped]


async def check_cluster(cluster: Cluster) -> list[Check]:
    """The API server, and the operator by its Lease; not the latter without the former."""
    check, leader = await timed("kubernetes", cluster.leader, UNREACHABLE)
    if leader is None:
        return [check]
    leading = is_leading(leader)
    reason = "" if leading else "no operator has renewed its lease lately"
    return [check, check.model_copy(update={"name": "operator", "ok": leading, "reason": reason})]


def describe_health(required: Sequence[Check], optional: Sequence[Check]) -> Health:
    """Runs continue without the optional backends: without one the state is only degraded."""
    checks = [*required, *optional]
    state = SchedulerState.HEALTHY
    if not all(check.ok for check in checks):
        state = SchedulerState.DEGRADED
    if not all(check.ok for check in required):
        state = SchedulerState.DOWN
    return Health(status=state, checks=checks)


def describe_database(state: DatabaseState) -> DatabaseHealth:
    return DatabaseHealth(
        status=SchedulerState.DOWN if state.reason else SchedulerState.HEALTHY,
        ok=not state.reason,
        latency_ms=state.latency_ms,
        reason=state.reason,
        server_version=state.server_version,
        connections=dict(state.connections),
        pool=dict(state.pool),
    )


def is_leading(leader: Leader) -> bool:
    """Whether an operator holds the Lease and renews it."""
    return leader.holder is not None and leader.silent < leader.seconds * SILENT_AFTER


def _uptime(leader: Leader) -> int | None:
    if leader.holder is None or leader.acquired_at is None or leader.renewed_at is None:
        return None
    return int((leader.renewed_at - leader.acquired_at).total_seconds() + leader.silent)
