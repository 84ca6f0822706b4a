"""Filters of the templates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from report_operator.domain.cron.schedule import ScheduleError, load_zone
from report_operator.domain.times import format_time

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((#[a-z0-9-]+)\)")


def duration(seconds: float) -> str:
    """`3725` → `1 h 2 min`: the two largest units."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def ago(instant: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`, `just now`; the largest unit only, so that it seldom changes."""
    seconds = (now - instant) / timedelta(seconds=1)
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    size, unit = next(entry for entry in _UNITS if abs(seconds) >= entry[0])
    count = int(abs(seconds) // size)
    return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"


def clock_time(instant: datetime, now: datetime) -> str:
    """`05:00:10 UTC`; with the day where it is not today's, with the year likewise."""
    at, today = instant.astimezone(UTC), now.astimezone(UTC)
    day = f"{at.day} {at:%b}"
    if at.year != today.year:
        day += f" {at.year}"
    return f"{at:%H:%M:%S} UTC" if at.date() == today.date() else f"{day} {at:%H:%M} UTC"


def time_tag(instant: datetime, now: datetime) -> Markup:
    """`<time>` with the clock time and how long ago it is."""
    return Markup('<time datetime="{}">{} <span class="quiet">({})</span></time>').format(
        format_time(instant), clock_time(instant, now), ago(instant, now)
    )


def slot_tag(slot: datetime, zone: str | None, now: datetime, label: str = "") -> Markup:
    """`<time>` with the clock time, and the local one where the schedule's zone is not UTC.

    `label` stands in place of the zone's name.
    """
    text = Markup('<time datetime="{}">{}').format(format_time(slot), clock_time(slot, now))
    local = local_time(slot, zone)
    if local:
        text += Markup(' <span class="quiet local">({} {})</span>').format(local, label or zone)
    return text + Markup("</time>")


def local_time(instant: datetime, zone: str | None) -> str:
    """`06:00`, with the day where UTC has another; '' where it is UTC's, or the zone unknown."""
    try:
        at = instant.astimezone(load_zone(zone))
    except (ScheduleError, OverflowError):
        return ""
    utc = instant.astimezone(UTC)
    if at.replace(tzinfo=None) == utc.replace(tzinfo=None):
        return ""
    day = "" if at.date() == utc.date() else f"{at.day} {at:%b} "
    return f"{day}{at:%H:%M}"


def markdown(text: str, runbook_url: str) -> Markup:
    """Renders code spans and links to sections of the runbook; all else is escaped text."""
    html = _CODE.sub(r"<code>\1</code>", str(escape(text)))
    link = r'<a href="{}\2">\1</a>'.replace("{}", str(escape(runbook_url)).replace("\\", r"\\"))
    return Markup(_LINK.sub(link if runbook_url else r"\1", html))  # noqa: S704  (escaped above)
