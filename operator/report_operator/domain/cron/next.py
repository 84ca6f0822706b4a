"""When a calendar schedule fires next: exactly robfig/cron's answer, daylight saving included.

``_walk`` is the original's algorithm step by step, with its habits around a change of the clocks:
a slot in the hour that is skipped is skipped too, one in the hour that is repeated fires once or
twice depending on the fields, and in zones east of Greenwich where midnight itself is skipped a
schedule bound to that weekday or day passes it over. Where the offset is the same all along, the
answer is simply the next matching time on the wall clock, which is found without walking.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime
from zoneinfo import ZoneInfo

from report_operator.domain.cron.rules import MINUTES_PER_DAY, Calendar
from report_operator.domain.cron.zone import first_change, local_time, offset_at

YEARS = 5
"""How many calendar years ahead the original looks before it says never."""

_HOUR = 3_600
_DAY = 24 * _HOUR
_EPOCH = date(1970, 1, 1).toordinal()
# The original tries local times as if they were UTC, so it sees this far past what it looks at.
_AHEAD = 16 * _HOUR


def next_unix(calendar: Calendar, zone: ZoneInfo, start: int) -> int | None:
    """The first slot after a moment, both in seconds since 1970; None if it never comes."""
    if not calendar.times or not calendar.months:
        return None
    moment = start + 1
    offset = offset_at(zone, moment)
    if offset % 60 == 0:
        local = local_time(zone, moment)
        minute = _next_on_wall(calendar, -(-(moment + offset) // 60), local.year + YEARS)
        found = None if minute is None else minute * 60 - offset
        ahead = found if found is not None else moment + (YEARS + 1) * 366 * _DAY
        if first_change(zone, moment - _back(calendar, local), ahead + _AHEAD) is None:
            return found
    return _walk(calendar, zone, moment)


def latest_unix(calendar: Calendar, zone: ZoneInfo, after: int, until: int) -> int | None:
    """The last of the slots that follow each other from ``after``, not beyond ``until``.

    Leaps over the time in which the offset stays the same, so the cost does not grow with the
    number of slots but with the number of changes of the clocks.
    """
    latest = None
    slot = next_unix(calendar, zone, after)
    while slot is not None and slot <= until:
        latest = _leap(calendar, zone, slot, until)
        slot = next_unix(calendar, zone, latest)
    return latest


def _back(calendar: Calendar, local: datetime) -> int:
    """How far back from a moment a change of the offset can matter, in seconds.

    The original goes back to the start of the hour, day or month that does not match.
    """
    if not calendar.months >> local.month & 1:
        return 31 * _DAY + _AHEAD
    if not calendar.day_matches(local.day, local.isoweekday() % 7):
        return _DAY + _AHEAD
    return _HOUR + _AHEAD


def _leap(calendar: Calendar, zone: ZoneInfo, slot: int, until: int) -> int:
    """The last slot before the next change of the offset, or the given one where none is surer."""
    local = local_time(zone, slot)
    offset = offset_at(zone, slot)
    if offset % 60:
        return slot
    # The slots that follow are matches themselves and look back less than a day, as this one may.
    change = first_change(zone, slot - _back(calendar, local), until + _AHEAD)
    end = until if change is None else min(until, change - _AHEAD - 1)
    if end <= slot:
        return slot
    minute = _last_on_wall(calendar, (end + offset) // 60, (slot + offset) // 60)
    return slot if minute is None else minute * 60 - offset


def _next_on_wall(calendar: Calendar, minute: int, last_year: int) -> int | None:
    """The first matching minute (since 1970, local) at or after one, by the calendar alone."""
    day, of_day = divmod(minute, MINUTES_PER_DAY)
    times = calendar.times
    at = bisect_left(times, of_day)
    ordinal = day + _EPOCH
    current = date.fromordinal(ordinal)
    if at == len(times):
        ordinal, at = ordinal + 1, 0
        current = date.fromordinal(ordinal)
    while current.year <= last_year:
        if not calendar.months >> current.month & 1:
            year, month = divmod(current.year * 12 + current.month, 12)
            current = date(year, month + 1, 1)
            ordinal, at = current.toordinal(), 0
            continue
        if calendar.day_matches(current.day, ordinal % 7):
            return (ordinal - _EPOCH) * MINUTES_PER_DAY + times[at]
        ordinal, at = ordinal + 1, 0
        current = date.fromordinal(ordinal)
    return None


def _last_on_wall(calendar: Calendar, minute: int, first: int) -> int | None:
    """The last matching minute (since 1970, local) at or before one, not before ``first``."""
    day, of_day = divmod(minute, MINUTES_PER_DAY)
    times = calendar.times
    at = bisect_right(times, of_day) - 1
    ordinal = day + _EPOCH
    if at < 0:
        ordinal -= 1
    first_ordinal = first // MINUTES_PER_DAY + _EPOCH
    while ordinal >= first_ordinal:
        current = date.fromordinal(ordinal)
        if not calendar.months >> current.month & 1:
            ordinal, at = current.replace(day=1).toordinal() - 1, -1
            continue
        if calendar.day_matches(current.day, ordinal % 7):
            found = (ordinal - _EPOCH) * MINUTES_PER_DAY + times[at]
            return found if found >= first else None
        ordinal, at = ordinal - 1, -1
    return None


def _from_wall(
    zone: ZoneInfo, year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> int:
    """Go's time.Date: months and days may run over, local times that are skipped are moved."""
    years, month = divmod(month - 1, 12)
    days = date(year + years, month + 1, 1).toordinal() - _EPOCH + day - 1
    unix = days * _DAY + hour * _HOUR + minute * 60 + second
    offset = offset_at(zone, unix)
    if offset:
        unix -= offset_at(zone, unix - offset)
    return unix


def _walk(calendar: Calendar, zone: ZoneInfo, moment: int) -> int | None:
    """The original, SpecSchedule.Next: each field is stepped until it matches."""
    local = local_time(zone, moment)
    last_year = local.year + YEARS
    stepped = False
    while local.year <= last_year:
        while not calendar.months >> local.month & 1:
            if not stepped:
                stepped = True
                local = local_time(zone, _from_wall(zone, local.year, local.month, 1))
            moment = _from_wall(
                zone, local.year, local.month + 1, local.day, local.hour, local.minute, local.second
            )
            local = local_time(zone, moment)
            if local.month == 1:
                break
        else:
            found = _walk_days(calendar, zone, moment, stepped)
            if found[1]:
                return found[0]
            moment, stepped = found[0], True
            local = local_time(zone, moment)
    return None


def _walk_days(calendar: Calendar, zone: ZoneInfo, moment: int, stepped: bool) -> tuple[int, bool]:
    """The fields below the month; the second value is false where the original starts over."""
    local = local_time(zone, moment)
    while not calendar.day_matches(local.day, local.isoweekday() % 7):
        if not stepped:
            stepped = True
            moment = _from_wall(zone, local.year, local.month, local.day)
            local = local_time(zone, moment)
        before = moment
        moment = _from_wall(
            zone, local.year, local.month, local.day + 1, local.hour, local.minute, local.second
        )
        local = local_time(zone, moment)
        if local.hour:  # midnight is skipped here
            moment += (24 - local.hour if local.hour > 12 else -local.hour) * _HOUR
        if moment <= before:  # a whole day is skipped: the original would loop for ever
            moment = before + _DAY
        local = local_time(zone, moment)
        if local.day == 1:
            return moment, False
    while not calendar.hours >> local.hour & 1:
        if not stepped:
            stepped = True
            moment = _from_wall(zone, local.year, local.month, local.day, local.hour)
        moment += _HOUR
        local = local_time(zone, moment)
        if local.hour == 0:
            return moment, False
    while not calendar.minutes >> local.minute & 1:
        if not stepped:
            stepped = True
            moment -= moment % 60
        moment += 60
        local = local_time(zone, moment)
        if local.minute == 0:
            return moment, False
    while local.second:
        rest = 60 - local.second
        steady = offset_at(zone, moment) == offset_at(zone, moment + rest)
        moment += rest if steady else 1
        local = local_time(zone, moment)
        if local.second == 0:
            return moment, False
    return moment, True
