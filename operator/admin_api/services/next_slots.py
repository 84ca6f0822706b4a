"""The next slots of a schedule, in its own local time and in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from admin_api.errors import RefusedError
from admin_api.schemas.next_slots import NextSlot, NextSlots
from admin_api.services.jobs import ScheduleSummary
from report_operator.domain.cron.rules import Every, interval_problem
from report_operator.domain.cron.schedule import CronSchedule, ScheduleError, load_zone, parse
from report_operator.domain.schedules.calendar import Calendar, verdict
from report_operator.domain.schedules.clock_changes import UpcomingSlot, upcoming
from report_operator.domain.schedules.zone_data import ControllerZone, controller_zone

DEFAULT_ZONE = "Etc/UTC"
NAMED = 10  # namespaces in one message


def find_schedule(
    schedules: Sequence[ScheduleSummary], name: str, namespace: str | None
) -> ScheduleSummary:
    """The schedule of this name; `namespace` None finds it in any. Raises RefusedError."""
    found = [s for s in schedules if s.name == name and namespace in (None, s.namespace)]
    if not found:
        place = f" in the namespace {namespace}" if namespace else ""
        raise RefusedError(404, f"there is no ReportSchedule {name}{place}")
    if len(found) > 1:
        places = ", ".join(schedule.namespace for schedule in found[:NAMED])
        raise RefusedError(409, f"several namespaces have a {name}: say which ({places})")
    return found[0]


def slots_of(
    schedule: ScheduleSummary, count: int, now: datetime, calendar: Calendar | None = None
) -> NextSlots:
    """`calendar` is the one in effect. Raises RefusedError where the schedule cannot be read."""
    zone_name = schedule.time_zone or DEFAULT_ZONE
    try:
        cron, zone = parse(schedule.cron), load_zone(zone_name)
    except ScheduleError as error:
        raise RefusedError(409, f"{schedule.namespace}/{schedule.name}: {error}") from error
    if problem := interval_problem(cron.rule):
        raise RefusedError(409, f"{schedule.namespace}/{schedule.name}: {problem}")
    controller = controller_zone(cron, zone, _newest_slot(schedule))
    slots = upcoming(cron, controller.zone, _counted_from(schedule, cron, now), count)
    return NextSlots(
        namespace=schedule.namespace,
        schedule=schedule.name,
        cron=schedule.cron,
        time_zone=zone_name,
        note="; ".join(_notes(schedule, controller)) or None,
        slots=[_slot(found, calendar) for found in slots],
    )


def _newest_slot(schedule: ScheduleSummary) -> datetime | None:
    """The newest slot that the controller made for the definition in effect."""
    newest, since = schedule.status.last_schedule_time, schedule.status.schedule_since
    return newest if newest and since and newest >= since else None


def _counted_from(schedule: ScheduleSummary, cron: CronSchedule, now: datetime) -> datetime:
    """The instant after which slots are listed; for an @every, its last slot, which it counts from.

    Only the operator knows that one.
    """
    following = schedule.status.next_schedule_time
    if not isinstance(cron.rule, Every) or following is None:
        return now
    interval = timedelta(seconds=cron.rule.seconds)
    passed = max((now - following) // interval + 1, 0)
    return following + (passed - 1) * interval


def _notes(schedule: ScheduleSummary, controller: ControllerZone) -> list[str]:
    found = []
    ready = next((c for c in schedule.status.conditions if c.type == "Ready"), None)
    if schedule.suspended:
        found.append("spec.suspend is true: none of these slots gets a run until it is false")
    elif ready is None or ready.status != "True":
        why = f" ({ready.reason}: {ready.message})" if ready else ""
        found.append(f"not Ready{why}: until it is, the last valid definition stays, if any")
    if controller.difference:
        found.append(controller.difference)
    return found


def _slot(found: UpcomingSlot, calendar: Calendar | None) -> NextSlot:
    said, notes = verdict(calendar, found.local), []
    if said.skipped:
        notes.append(f"skipped: {said.why}")
    elif said.moved_to is not None:
        moved = said.moved_to.astimezone(found.local.tzinfo)
        notes.append(f"moved to {_shown(moved)}: {said.why}")
    return NextSlot(
        slot=found.slot,
        local=_shown(found.local),
        skipped=said.skipped,
        moved_to=said.moved_to,
        note="; ".join(filter(None, [*notes, found.note])) or None,
    )


def _shown(local: datetime) -> str:
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z}"
