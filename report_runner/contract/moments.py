"""Dates and times as PostgreSQL writes them: every digit, and the offset where it matters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # the Gregorian calendar repeats itself
_FAR = re.compile(
    r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?P<fraction>\.\d+)?)?"
    r"(?P<offset>[+-]\d\d(?::\d\d){0,2})?(?P<bc> BC)?",
    re.ASCII,
)


class MomentKind(StrEnum):
    """What a date or time is, in words for a message."""

    DATE = "date"
    TIME = "time"
    ZONED = "time with zone"


class SessionOffset(tzinfo):
    """The offset that the database computed, in a session of the zone `zone`.

    Zone data of database and runner may differ: such a value is shown as the database says.
    """

    def __init__(self, offset: timedelta, zone: ZoneInfo) -> None:
        self.offset = offset
        self.zone = zone

    def utcoffset(self, _moment: datetime | None) -> timedelta:
        return self.offset

    def dst(self, _moment: datetime | None) -> None:
        return None

    def tzname(self, _moment: datetime | None) -> str:
        return timezone(self.offset).tzname(None)

    def __reduce__(self) -> tuple[type[SessionOffset], tuple[timedelta, ZoneInfo]]:
        return SessionOffset, (self.offset, self.zone)


class FarMoment(str):
    """A date or time that Python's own types cannot hold, as PostgreSQL writes it.

    That is infinity, -infinity, a year BC or one of more than four digits.
    """

    kind: MomentKind
    order: tuple[int, int]  # compares with that of others and of `order_of`

    def __new__(cls, text: str, kind: MomentKind) -> FarMoment:
        made = super().__new__(cls, text)
        made.kind = kind
        made.order = _order_of_text(text)
        return made

    def __getnewargs__(self) -> tuple[str, MomentKind]:  # type: ignore[override]
        return str(self), self.kind


def _order_of_text(text: str) -> tuple[int, int]:
    if text in ("infinity", "-infinity"):
        return (1 if text == "infinity" else -1), 0
    match = _FAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no date or time")
    year = int(match["year"])
    cycles, within = divmod(1 - year if match["bc"] else year, _CYCLE_YEARS)
    base = _CYCLE_YEARS * 5
    day = date(base + within, int(match["month"]), int(match["day"])).toordinal()
    days = day + (cycles - 5) * _CYCLE_DAYS
    seconds = sum(
        int(match[part] or 0) * unit
        for part, unit in (("hour", 3600), ("minute", 60), ("second", 1))
    )
    fraction = int((match["fraction"] or ".0")[1:].ljust(6, "0"))
    offset = parse_offset(match["offset"]) if match["offset"] else timedelta()
    span = timedelta(microseconds=1)
    return 0, (days * 86_400 + seconds) * 1_000_000 + fraction - offset // span


def order_of(value: date | FarMoment) -> tuple[int, int]:
    """By which dates, or times, compare with each other and with a FarMoment."""
    if isinstance(value, FarMoment):
        return value.order
    if not isinstance(value, datetime):
        return 0, value.toordinal() * 86_400_000_000
    day = timedelta(
        value.toordinal(), value.hour * 3600 + value.minute * 60 + value.second, value.microsecond
    )
    return 0, (day - (value.utcoffset() or timedelta())) // timedelta(microseconds=1)


def kind_of(value: Any) -> MomentKind | None:
    """Which of the three a value is; None for anything else."""
    if isinstance(value, FarMoment):
        return value.kind
    if isinstance(value, datetime):
        return MomentKind.TIME if value.tzinfo is None else MomentKind.ZONED
    return MomentKind.DATE if isinstance(value, date) else None


def parse_offset(text: str) -> timedelta:
    """`-00:14:44` as PostgreSQL writes an offset: hours, and minutes and seconds where needed."""
    parts = [int(part) for part in text[1:].split(":")]
    offset = timedelta(**dict(zip(("hours", "minutes", "seconds"), parts, strict=False)))
    return -offset if text[0] == "-" else offset


def in_zone(value: datetime, zone: ZoneInfo) -> datetime:
    """The same instant in the schedule's zone. What the database put there stays as it is."""
    if value.tzinfo is None or isinstance(value.tzinfo, SessionOffset):
        return value
    return value.astimezone(zone)


def is_ambiguous(value: datetime) -> bool:
    """Whether its wall clock alone does not tell the instant: the hour that a clock repeats.

    Also where the database's zone data and the runner's differ.
    """
    zone = value.tzinfo.zone if isinstance(value.tzinfo, SessionOffset) else value.tzinfo
    if not isinstance(zone, ZoneInfo):
        return False
    wall = value.replace(tzinfo=zone)
    first, second = (wall.replace(fold=fold).utcoffset() for fold in (0, 1))
    return first != second or first != value.utcoffset()


@dataclass(frozen=True, slots=True)
class MomentStyle:
    """What the values of a column need, so that none of them loses anything."""

    seconds: bool = True
    places: int | None = None  # digits of a second; None: as many as the value has
    offset: bool = True

    def text(self, value: date) -> str:
        """`2026-10-25 02:30:00+02:00`, as PostgreSQL writes it but for the offset's minutes."""
        if not isinstance(value, datetime):
            return value.isoformat()
        text = value.replace(tzinfo=None).isoformat(" ", "seconds" if self.seconds else "minutes")
        fraction = f"{value.microsecond:06d}"
        digits = fraction.rstrip("0") if self.places is None else fraction[: self.places]
        return text + (f".{digits}" if digits else "") + self._offset(value)

    def _offset(self, value: datetime) -> str:
        offset = value.utcoffset()
        return offset_text(offset) if self.offset and offset is not None else ""


def offset_text(offset: timedelta) -> str:
    """`+02:00`, and `-00:14:44` of a time before zones."""
    seconds = int(abs(offset).total_seconds())
    text = f"{'-' if offset < timedelta() else '+'}{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return text + (f":{seconds % 60:02d}" if seconds % 60 else "")


FULL = MomentStyle()


def style_of(values: Iterable[Any]) -> MomentStyle:
    """The shortest style in which no value is rounded and no two instants look the same."""
    moments = [value for value in values if isinstance(value, datetime)]
    places = max(
        (len(f"{value.microsecond:06d}".rstrip("0")) for value in moments if value.microsecond),
        default=0,
    )
    return MomentStyle(
        seconds=places > 0 or any(value.second for value in moments),
        places=places,
        offset=any(is_ambiguous(value) for value in moments),
    )
