"""Slots: the instants at which a schedule fires, as the CronJob controller computes them.

A schedule is text in the dialect of Kubernetes' CronJob and a zone by its IANA name. Slots follow
each other: the next one is computed from the one before, and the first from the moment at which
the controller begins (the last schedule time, or else the creation). That matters for ``@every``,
which counts from that moment, and in a few zones around a change of the clocks.

Everything here is pure: the clock is passed in, instants are aware datetimes, answers are in UTC
and fall on whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from report_operator.domain.cron.next import latest_unix, next_unix
from report_operator.domain.cron.parser import parse_rule
from report_operator.domain.cron.pattern import schema_pattern
from report_operator.domain.cron.rules import Calendar, Every, ScheduleError
from report_operator.domain.cron.zone import load_zone

__all__ = [
    "CronSchedule",
    "ScheduleError",
    "SlotWindow",
    "every_seconds",
    "latest_beat",
    "latest_slot",
    "load_zone",
    "parse",
    "schema_pattern",
    "slots_between",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A parsed schedule. Equal when the rules are, however they are spelled."""

    rule: Calendar | Every

    def next_after(self, instant: datetime, zone: ZoneInfo) -> datetime | None:
        """The first slot after an instant.

        None if there is none until the end of the fifth year from then (``0 0 31 2 *``):
        Kubernetes accepts such a schedule and never runs it. ``@every`` counts from the instant,
        whatever the zone.
        """
        found = self._next_unix(_to_unix(instant), zone)
        return None if found is None else _from_unix(found)

    def _next_unix(self, start: int, zone: ZoneInfo) -> int | None:
        if isinstance(self.rule, Every):
            return start + self.rule.seconds
        return next_unix(self.rule, zone, start)


@dataclass(frozen=True, slots=True)
class SlotWindow:
    """The oldest slots of a window, ascending; ``truncated`` says that the window has more."""

    slots: tuple[datetime, ...]
    truncated: bool


@lru_cache(maxsize=4096)
def parse(expression: str) -> CronSchedule:
    """Read a schedule.

    Raises:
        ScheduleError: the API server would refuse it in a CronJob.
    """
    return CronSchedule(parse_rule(expression))


def slots_between(
    schedule: CronSchedule, zone: ZoneInfo, after: datetime, until: datetime, limit: int
) -> SlotWindow:
    """The slots in ``after < slot <= until``, at most ``limit`` of them.

    Where there are more, the oldest are given, so that whoever works through them goes on from
    the last one and misses none; ``latest_slot`` gives the other end.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}: at least 1 is needed")
    end = _to_unix(until)
    slots: list[datetime] = []
    slot = schedule._next_unix(_to_unix(after), zone)
    while slot is not None and slot <= end:
        if len(slots) == limit:
            return SlotWindow(tuple(slots), truncated=True)
        slots.append(_from_unix(slot))
        slot = schedule._next_unix(slot, zone)
    return SlotWindow(tuple(slots), truncated=False)


def latest_slot(
    schedule: CronSchedule, zone: ZoneInfo, after: datetime, until: datetime
) -> datetime | None:
    """The last slot in ``after < slot <= until``, without enumerating those before it."""
    start, end = _to_unix(after), _to_unix(until)
    if isinstance(schedule.rule, Every):
        count = (end - start) // schedule.rule.seconds
        return _from_unix(start + count * schedule.rule.seconds) if count > 0 else None
    found = latest_unix(schedule.rule, zone, start, end)
    return None if found is None else _from_unix(found)


def latest_beat(schedule: CronSchedule, known: datetime, until: datetime) -> datetime | None:
    """The last instant not after `until` on the beat of an ``@every`` with a slot at ``known``.

    It may lie before ``known``. None for any other schedule: those do not count from a slot.
    """
    if not isinstance(schedule.rule, Every):
        return None
    start, end = _to_unix(known), _to_unix(until)
    return _from_unix(start + (end - start) // schedule.rule.seconds * schedule.rule.seconds)


def every_seconds(expression: str) -> int:
    """The interval of an ``@every``; 0 for any other schedule, and for what is none."""
    try:
        rule = parse(expression).rule
    except ScheduleError:
        return 0
    return rule.seconds if isinstance(rule, Every) else 0


def _to_unix(instant: datetime) -> int:
    """Whole seconds since 1970, rounded down, without the rounding of a float."""
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant.isoformat()} has no zone: pass an aware datetime")
    return (instant - _EPOCH) // _SECOND


def _from_unix(unix: int) -> datetime:
    return _EPOCH + timedelta(seconds=unix)
