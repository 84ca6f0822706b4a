"""The plan in effect, from the live CronJob: also while the newest spec is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.domain import names
from report_operator.domain.cron.rules import Every
from report_operator.domain.cron.schedule import (
    CronSchedule,
    ScheduleError,
    latest_beat,
    load_zone,
    parse,
)
from report_operator.domain.schedules.calendar import (
    AS_ALWAYS,
    Calendar,
    Verdict,
    calendar_of_spec,
    parse_calendar,
    verdict,
)
from report_operator.domain.times import parse_time
from report_runner.contract.model import parse_duration

DEFAULT_LATE_AFTER = "30m"
CARRIED_OVER = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Plan:
    """When a schedule has slots."""

    schedule: CronSchedule
    zone: ZoneInfo
    since: datetime  # slots before this do not count: created, unsuspended or edited then
    suspended: bool
    late_after: timedelta
    # The control plane's time-zone data may be older than ours (schedules/zone_data.py): `zone` is
    # the likeliest, and while nobody knows these are possible too.
    other_zones: tuple[ZoneInfo, ...] = ()
    zone_difference: str = ""  # both versions, where they are known to differ
    calendar: Calendar | None = None

    def verdict(self, slot: datetime) -> Verdict:
        """What the calendar makes of a slot."""
        if self.calendar is None:
            return AS_ALWAYS
        return verdict(self.calendar, slot.astimezone(self.zone))

    @property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """All that are possible."""
        return (self.zone, *self.other_zones)


def plan_of_spec(spec: ReportScheduleSpec, since: datetime) -> Plan | None:
    """The plan of a schedule that has no CronJob: its slots pass all the same."""
    try:
        return Plan(
            schedule=parse(spec.schedule),
            zone=load_zone(spec.time_zone),
            since=since,
            suspended=spec.suspend,
            late_after=parse_duration(spec.late_after),
            calendar=calendar_of_spec(spec.calendar) if spec.calendar else None,
        )
    except (ScheduleError, ValueError, OverflowError):
        return None


def observe_plan(cronjob: Mapping[str, Any]) -> Plan | None:
    """None where the schedule is invalid because somebody edited the CronJob."""
    meta, spec = cronjob["metadata"], cronjob["spec"]
    annotations = meta.get("annotations") or {}
    try:
        since = parse_time(annotations.get(names.ANNOTATION_SINCE))
    except ValueError:  # somebody edited it
        since = None
    created = parse_time(meta["creationTimestamp"])
    if created is None:
        return None
    # It is carried over where somebody deleted the CronJob, but not from 1970: each change of the
    # clocks since then would have to be looked at.
    since = max(since, created - CARRIED_OVER) if since else created
    try:
        late_after = parse_duration(
            annotations.get(names.ANNOTATION_LATE_AFTER, DEFAULT_LATE_AFTER)
        )
        schedule = parse(spec["schedule"])
        return Plan(
            schedule=schedule,
            zone=load_zone(spec.get("timeZone")),
            since=_on_the_beat(schedule, since, last_scheduled(cronjob) or created),
            suspended=bool(spec.get("suspend")),
            late_after=late_after,
            calendar=calendar_of(cronjob),
        )
    except (ScheduleError, ValueError, OverflowError):
        return None


def calendar_of(cronjob: Mapping[str, Any]) -> Calendar | None:
    """The calendar that its Jobs are marked with; None also where somebody wrote another text."""
    meta = cronjob["spec"].get("jobTemplate", {}).get("metadata") or {}
    text = (meta.get("annotations") or {}).get(names.ANNOTATION_CALENDAR)
    try:
        return parse_calendar(text) if text else None
    except ValueError:
        return None


def last_scheduled(cronjob: Mapping[str, Any]) -> datetime | None:
    """`status.lastScheduleTime`, from which the controller counts; None where it is absent."""
    try:
        return parse_time((cronjob.get("status") or {}).get("lastScheduleTime"))
    except ValueError:  # somebody edited it
        return None


def _on_the_beat(schedule: CronSchedule, since: datetime, counted_from: datetime) -> datetime:
    """`since`; for an @every, the nearest instant of the controller's own beat.

    The controller counts from the CronJob's creation, which is some moments later than what we
    wrote into it, and after a long outage from another instant than the last slot.
    """
    half = (
        timedelta(seconds=schedule.rule.seconds / 2) if isinstance(schedule.rule, Every) else None
    )
    return since if half is None else latest_beat(schedule, counted_from, since + half) or since
