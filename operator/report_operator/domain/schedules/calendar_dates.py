"""The dates of a ConfigMap: a list, one a line, or an iCalendar file with whole-day events.

Of iCalendar (RFC 5545) only what a list of days needs is read. What would need more, such as a rule
of recurrence, is refused: a date that is left out in silence would be a report too many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

TEXT_LIMIT = 128 * 1024  # bytes
DATES_LIMIT = 500
EVENT_DAYS = 366
NAME_LIMIT = 60  # characters

Dates = tuple[tuple[str, str], ...]

_LINE = re.compile(r"([\"']?)(?P<day>\d{4}-\d\d-\d\d)\1(?:[\s,;:]+(?P<name>.*))?", re.ASCII)
_PROPERTY = re.compile(r"(?P<name>[A-Za-z-]+)(?P<parameters>(?:;[^:]*)?):(?P<value>.*)", re.DOTALL)
_DAY = re.compile(r"\d{8}", re.ASCII)
_REFUSED = ("RRULE", "RDATE", "EXDATE", "EXRULE")


class DatesError(ValueError):
    """What is wrong with the text, and where."""


def parse_dates(text: str) -> Dates:
    """ISO date and name, ascending. Raises DatesError."""
    if len(text.encode(errors="replace")) > TEXT_LIMIT:
        raise DatesError(
            f"it has more than {TEXT_LIMIT // 1024} KiB: keep the dates of a few years"
        )
    text = text.removeprefix("\ufeff")
    is_icalendar = text.lstrip().upper().startswith("BEGIN:VCALENDAR")
    found: dict[str, str] = {}
    for day, name in _events(text) if is_icalendar else _listed(text):
        found.setdefault(day.isoformat(), _clean(name))
        if len(found) > DATES_LIMIT:
            raise DatesError(f"it has more than {DATES_LIMIT} dates: keep those of a few years")
    if not found:
        raise DatesError("it has no date: write one a line, such as 2026-12-24 Christmas Eve")
    return tuple(sorted(found.items()))


def _listed(text: str) -> Iterator[tuple[date, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("- ").strip()  # as YAML writes a list
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise DatesError(
                f"line {number}: not a date: write one a line, such as 2026-12-24 Christmas Eve"
            )
        yield _date(match["day"], number), (match["name"] or "").removeprefix("#")


def _date(text: str, number: int) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DatesError(f"line {number}: there is no such day: {text}") from error


def _events(text: str) -> Iterator[tuple[date, str]]:
    inside: list[str] = []
    event: dict[str, tuple[int, str]] = {}
    for number, line in _unfolded(text):
        match = _PROPERTY.fullmatch(line)
        if match is None:
            raise DatesError(f"line {number}: not a line of iCalendar")
        name, value = match["name"].upper(), match["value"].strip()
        if name == "BEGIN":
            inside.append(value.upper())
            if value.upper() == "VEVENT":
                event = {}
        elif name == "END":
            if not inside or inside.pop() != value.upper():
                raise DatesError(f"line {number}: END:{value[:20]} has no BEGIN")
            if value.upper() == "VEVENT":
                yield from _days(event, number)
        elif inside and inside[-1] == "VEVENT":
            if name in _REFUSED:
                raise DatesError(
                    f"line {number}: {name} (events that recur) is not read: write each date as "
                    "an event of its own, or as a line of a list"
                )
            if name in event and name in ("DTSTART", "DTEND"):
                raise DatesError(f"line {number}: a second {name} in one event")
            event.setdefault(name, (number, value))
    if inside:
        raise DatesError(f"it ends within {inside[-1][:20]}: is the file whole?")


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that begins with white space continues the one before."""
    begun, line = 0, ""
    for number, part in enumerate(text.splitlines(), 1):
        if part[:1] in (" ", "\t") and line:
            line += part[1:]
            continue
        if line.strip():
            yield begun, line
        begun, line = number, part
    if line.strip():
        yield begun, line


def _days(event: dict[str, tuple[int, str]], number: int) -> Iterator[tuple[date, str]]:
    if event.get("STATUS", (0, ""))[1].upper() == "CANCELLED":
        return
    if "DTSTART" not in event:
        raise DatesError(f"line {number}: the event has no DTSTART")
    if "DURATION" in event:
        raise DatesError(f"line {event['DURATION'][0]}: DURATION is not read: write DTEND")
    first = _whole_day(event["DTSTART"], "DTSTART")
    # DTEND is the day after the last one.
    last = _whole_day(event["DTEND"], "DTEND") if "DTEND" in event else first + timedelta(days=1)
    days = max((last - first).days, 1)
    if days > EVENT_DAYS:
        raise DatesError(f"line {number}: the event has more than {EVENT_DAYS} days")
    name = event.get("SUMMARY", (0, ""))[1]
    for day in range(days):
        yield first + timedelta(days=day), re.sub(r"\\([,;\\])", r"\1", name)


def _whole_day(found: tuple[int, str], name: str) -> date:
    number, value = found
    if _DAY.fullmatch(value) is None:
        raise DatesError(
            f"line {number}: {name} is not a whole day: write {name};VALUE=DATE:20261224"
        )
    return _date(f"{value[:4]}-{value[4:6]}-{value[6:]}", number)


def _clean(name: str) -> str:
    """One printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:NAME_LIMIT]
