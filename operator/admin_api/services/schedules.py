"""Lists of ReportSchedules, computed without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from admin_api.errors import RefusedError
from admin_api.schemas.schedules import (
    MissedSlots,
    Ready,
    Schedule,
    ScheduleDelay,
    ScheduleFailure,
    Schedules,
    ScheduleSort,
    SchedulesQuery,
)
from admin_api.services.cluster import Leader
from admin_api.services.cursor import WRONG_CURSOR, decode_cursor, encode_cursor
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.known_names import check_names
from admin_api.services.status import is_leading
from report_operator.api.v1alpha1.status import Condition, ScheduleHealth
from report_operator.domain.times import format_time

GRAVITY = (
    ScheduleHealth.FAILING, ScheduleHealth.NOT_READY, ScheduleHealth.DELAYED, None,
    ScheduleHealth.HEALTHY,
)  # fmt: skip
LAST = "~"  # sorts behind every digit
FAR = datetime(9999, 1, 1, tzinfo=UTC)
UTC_ZONE = "Etc/UTC"  # of a schedule that names none

_Key = tuple[str, str, str]


def list_schedules(
    schedules: Sequence[ScheduleSummary], query: SchedulesQuery, degraded: list[str]
) -> Schedules:
    """A page. Raises RefusedError for names that no schedule has, and for a wrong cursor."""
    after = _read_cursor(query) if query.cursor else None
    check_names(
        schedules,
        namespace=query.namespace,
        name=query.name,
        report_type=query.report_type,
        tier=query.tier,
    )
    keyed = [(_key(s, query.sort), s) for s in schedules if _matches(s, query)]
    keyed.sort(key=lambda entry: entry[0])
    rest = [entry for entry in keyed if after is None or entry[0] > after]
    page = rest[: query.limit]
    return Schedules(
        schedules=[describe(schedule) for _, schedule in page],
        total=len(keyed),
        degraded=degraded,
        next=_cursor(query.sort, page[-1][0]) if len(rest) > len(page) else None,
    )


def stale_notes(leader: Leader) -> list[str]:
    """A word where nobody keeps the schedules' status: it may be healthy there and late since."""
    if is_leading(leader):
        return []
    return [
        "no operator leads just now, so the status of schedules is as it was left: what came due "
        "since is not judged (report-scheduler status)"
    ]


def find_schedule(
    schedules: Sequence[ScheduleSummary], namespace: str, name: str
) -> ScheduleSummary:
    """Raises RefusedError (404)."""
    for schedule in schedules:
        if (schedule.namespace, schedule.name) == (namespace, name):
            return schedule
    check_names(schedules, namespace=namespace)
    check_names([s for s in schedules if s.namespace == namespace], name=name)
    raise AssertionError("one of the two names is unknown")


def condition_of(schedule: ScheduleSummary, kind: str) -> Condition | None:
    return next((c for c in schedule.status.conditions if c.type.value == kind), None)


def describe(schedule: ScheduleSummary) -> Schedule:
    status, ready = schedule.status, condition_of(schedule, "Ready")
    delay, failure, missed = status.delay, status.last_failure, status.last_missed
    return Schedule(
        namespace=schedule.namespace,
        name=schedule.name,
        report_type=schedule.report_type,
        tier=schedule.tier,
        priority=schedule.priority,
        schedule=schedule.cron,
        time_zone=schedule.time_zone or UTC_ZONE,
        suspended=schedule.suspended,
        health=status.health,
        ready=ready and Ready(
            ready=ready.status == "True", reason=ready.reason, message=ready.message,
            since=ready.last_transition_time,
        ),
        delay=delay and ScheduleDelay(
            since=delay.since, stage=delay.stage, slot=delay.slot, job=delay.job
        ),
        last_failure=failure and ScheduleFailure(**failure.model_dump()),
        last_slot=status.last_schedule_time,
        next_slot=status.next_schedule_time,
        last_success=status.last_success_time,
        consecutive_failures=status.consecutive_failures,
        active=status.active,
        queued=status.queued,
        waiting_for_data=status.waiting_for_data,
        missed_slots=status.missed_slots,
        last_missed=missed and MissedSlots(
            count=missed.count, first=missed.first, last=missed.last
        ),
        acknowledged_through=status.acknowledged_through,
        recipients=schedule.recipients,
        owner=schedule.owner or None,
    )  # fmt: skip


def _matches(schedule: ScheduleSummary, query: SchedulesQuery) -> bool:
    ready = condition_of(schedule, "Ready")
    return (
        query.namespace in (None, schedule.namespace)
        and query.name in (None, schedule.name)
        and query.report_type in (None, schedule.report_type)
        and query.tier in (None, schedule.tier)
        and query.health in (None, schedule.status.health)
        and query.suspended in (None, schedule.suspended)
        and query.ready in (None, ready is not None and ready.status == "True")
    )


def _key(schedule: ScheduleSummary, sort: ScheduleSort) -> _Key:
    """Ascending, whatever the order: texts that a cursor can hold."""
    status = schedule.status
    first = ""
    match sort:
        case ScheduleSort.HEALTH:
            first = str(GRAVITY.index(status.health))
        case ScheduleSort.LAST_FAILURE:
            failure = status.last_failure
            first = LAST if failure is None else f"{(FAR - failure.time).total_seconds():015.0f}"
        case ScheduleSort.DELAY:
            first = LAST if status.delay is None else format_time(status.delay.since)
        case ScheduleSort.NEXT_SLOT:
            upcoming = status.next_schedule_time
            first = LAST if upcoming is None else format_time(upcoming)
        case ScheduleSort.LAST_SUCCESS:
            success = status.last_success_time
            first = "" if success is None else format_time(success)
    return first, schedule.namespace, schedule.name


def _cursor(sort: ScheduleSort, key: _Key) -> str:
    return encode_cursor(sort.value, *key)


def _read_cursor(query: SchedulesQuery) -> _Key:
    sort, first, namespace, name = decode_cursor(query.cursor or "", 4)
    if sort != query.sort.value:
        raise RefusedError(422, f"cursor: it is of a list with sort={sort[:20]}; {WRONG_CURSOR}")
    return first, namespace, name
