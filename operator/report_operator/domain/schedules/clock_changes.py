"""What a change of the clocks does to a schedule: slots that are skipped, or come twice.

A local time may not exist on the day on which the clocks go forward, and exists twice on the day
on which they go back. What the CronJob controller makes of it is computed with its own algorithm
(``domain.cron``), and compared with what the fields of the schedule say.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from report_operator.domain.cron.rules import Calendar
from report_operator.domain.cron.schedule import CronSchedule, latest_slot, slots_between
from report_operator.domain.cron.zone import first_change, load_zone, offset_at

AHEAD = timedelta(days=400)
CHANGES_LIMIT = 8  # of a zone within AHEAD: no zone has more than four a year
NAMED = 2  # in one message
# A schedule bound to a day may skip all of it where its midnight is skipped.
AROUND = timedelta(hours=26)
BEFORE = timedelta(days=40)
SLOTS_LIMIT = 4_000  # more than a schedule of every minute has around a change
EVERY_HOUR = (1 << 24) - 1


class ClockEffect(StrEnum):
    """What becomes of a local time that the schedule names."""

    SKIPPED = "skipped"  # the time does not exist on that day, or is passed over
    TWICE = "twice"  # the time comes twice, and so does the slot
    FIRST = "first"  # the time comes twice; the slot is the first one
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The first local time of one change with this effect; `count` is how many there are."""

    local: datetime  # naive, as a clock on the wall shows it
    effect: ClockEffect
    exists: bool  # whether that day has this local time
    slots: tuple[datetime, ...]  # UTC
    count: int


@lru_cache(maxsize=4096)
def clock_changes(
    schedule: CronSchedule, zone: ZoneInfo, after: datetime
) -> tuple[ClockChange, ...]:
    """Those of the AHEAD after an instant, oldest first.

    Nothing is told of a schedule that has slots in every hour of a day: none of its hours is
    missed, whatever they are called. ``@every`` follows no clock.
    """
    if not isinstance(schedule.rule, Calendar):
        return ()
    found: list[ClockChange] = []
    start, end = _unix(after), _unix(after + AHEAD)
    for _ in range(CHANGES_LIMIT):
        change = first_change(zone, start, end)
        if change is None:
            break
        found += _effects(schedule, zone, change)
        start = change
    return tuple(found)


def describe_changes(changes: Sequence[ClockChange], zone: ZoneInfo) -> str:
    """In one sentence; '' where there are none."""
    if not changes:
        return ""
    more = len(changes) - NAMED
    told = "; ".join(describe_change(change, zone) for change in changes[:NAMED])
    return f"change of the clocks: {told}" + (f"; and {more} more" if more > 0 else "")


def describe_change(change: ClockChange, zone: ZoneInfo) -> str:
    local = f"{change.local:%Y-%m-%d %H:%M}"
    more = change.count - 1
    others = f" (and {more} more {'time' if more == 1 else 'times'} of that day)" if more else ""
    at = " and ".join(f"{slot:%H:%M}Z" for slot in change.slots)
    match change.effect:
        case ClockEffect.SKIPPED if change.exists:
            return f"{local} has no run{others}: the clocks of {zone.key} change that day"
        case ClockEffect.SKIPPED:
            return f"{local} has no run{others}: there is no such time in {zone.key} that day"
        case ClockEffect.TWICE:
            return f"{local} comes twice in {zone.key}{others}: runs both times, at {at}"
        case ClockEffect.FIRST:
            return f"{local} comes twice in {zone.key}{others}: runs once, the first time, at {at}"
        case ClockEffect.SECOND:
            return f"{local} comes twice in {zone.key}{others}: runs once, the second time, at {at}"


@dataclass(frozen=True, slots=True)
class UpcomingSlot:
    """A slot to come; `note` is about a change of the clocks at it, or since the slot before."""

    slot: datetime  # UTC
    local: datetime  # in the schedule's zone
    note: str = ""


def upcoming(
    schedule: CronSchedule, zone: ZoneInfo, after: datetime, count: int
) -> list[UpcomingSlot]:
    """The next slots after an instant; an ``@every`` counts from it."""
    found: list[UpcomingSlot] = []
    changes = clock_changes(schedule, zone, after)
    before = after
    for _ in range(count):
        slot = schedule.next_after(before, zone)
        if slot is None:
            break
        local, since = slot.astimezone(zone), before.astimezone(zone).replace(tzinfo=None)
        notes = [
            describe_change(change, zone)
            for change in changes
            if slot in change.slots
            or (not change.slots and since < change.local < local.replace(tzinfo=None))
        ]
        found.append(UpcomingSlot(slot, local, "; ".join(notes)))
        before = slot
    return found


def _effects(schedule: CronSchedule, zone: ZoneInfo, change: int) -> list[ClockChange]:
    """Of the change at a moment, in seconds since 1970."""
    before, after = offset_at(zone, change - 1), offset_at(zone, change)
    rule = schedule.rule
    every_hour = isinstance(rule, Calendar) and rule.hours == EVERY_HOUR
    every_day = isinstance(rule, Calendar) and rule.days_open and rule.weekdays_open
    if every_hour and every_day and (after - before) % 3600 == 0:
        return []  # no field is passed by
    first, last = _instant(change) - AROUND, _end_of_effects(schedule, zone, change)
    # Each slot is computed from the one before, so those around a change from one ahead of it.
    begin = latest_slot(schedule, zone, first - BEFORE, first) or first
    actual = [_unix(slot) for slot in slots_between(schedule, zone, begin, last, SLOTS_LIMIT).slots]
    # What the fields say, as if the local time were UTC.
    local = slots_between(
        schedule,
        load_zone("UTC"),
        first + timedelta(seconds=before),
        last + timedelta(seconds=after),
        SLOTS_LIMIT,
    ).slots
    grouped: dict[tuple[ClockEffect, bool], list[tuple[datetime, tuple[int, ...]]]] = {}
    for wall in map(_unix, local):
        # The moments at which the clock shows this time: none, one or two.
        moments = [m for m in (wall - before,) if m < change]
        moments += [m for m in (wall - after,) if m >= change]
        hit = tuple(m for m in moments if _has(actual, m))
        effect = _effect(moments, hit)
        if effect is None or (every_hour and len(moments) != 1):
            continue
        naive = _instant(wall).replace(tzinfo=None)
        grouped.setdefault((effect, bool(moments)), []).append((naive, hit))
    return [
        ClockChange(times[0][0], effect, exists, tuple(map(_instant, times[0][1])), len(times))
        for (effect, exists), times in grouped.items()
    ]


def _end_of_effects(schedule: CronSchedule, zone: ZoneInfo, change: int) -> datetime:
    """The second slot after it: the first may be passed over, weeks later, where a change is not of
    whole hours. The next change of the clocks has effects of its own.
    """
    at = _instant(change)
    end = at + AHEAD
    following = first_change(zone, change, _unix(end))
    if following is not None:
        end = _instant(following) - AROUND
    slots = slots_between(schedule, zone, at, max(end, at), 2).slots
    return max(at + AROUND, slots[-1] if len(slots) == 2 else end)


def _effect(moments: Sequence[int], hit: Sequence[int]) -> ClockEffect | None:
    if not hit:
        return ClockEffect.SKIPPED
    if len(moments) < 2:
        return None
    if len(hit) == 2:
        return ClockEffect.TWICE
    return ClockEffect.FIRST if hit[0] == moments[0] else ClockEffect.SECOND


def _has(ordered: Sequence[int], moment: int) -> bool:
    return bisect_left(ordered, moment) < bisect_right(ordered, moment)


def _unix(instant: datetime) -> int:
    return int(instant.replace(microsecond=0).timestamp())


def _instant(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
