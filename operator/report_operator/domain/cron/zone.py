"""Time zones: names as Kubernetes takes them, offsets, and when an offset changes.

The zones come from the ``tzdata`` distribution, never from the machine: every image then agrees
with the truth table. The control plane carries tables of its own (those of its Go release), so a
zone whose rules changed lately can differ until both have the newer release.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from report_operator.domain.cron.parser import shown
from report_operator.domain.cron.rules import ScheduleError

_DAY = 86_400
_BLOCK = 400 * _DAY
_COMPONENT = re.compile(r"(?!-)[A-Za-z._0-9+-]{1,14}", re.ASCII)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every zone name there is, in its exact spelling."""
    return frozenset((resources.files("tzdata") / "zones").read_text("ascii").split())


@lru_cache(maxsize=1024)
def load_zone(name: str | None) -> ZoneInfo:
    """The zone of a name, by the rules of a CronJob's ``timeZone``.

    ``None`` is UTC here. A CronJob without ``timeZone`` follows the local time of the controller
    manager instead, so whoever builds one from this should always write the zone out.

    Raises:
        ScheduleError: empty, ``Local``, no zone of that exact spelling, or no zone name at all.
    """
    if name is None:
        return load_zone("UTC")
    if not name:
        raise ScheduleError("timeZone is empty: leave it out for UTC or name one, as Europe/Madrid")
    if name.casefold() == "local":
        raise ScheduleError(
            f"timeZone {shown(name)}: name a zone of its own, as Europe/Madrid; "
            "what is local differs from machine to machine"
        )
    parts = name.split("/")
    spelled = all(_COMPONENT.fullmatch(part) and part not in (".", "..") for part in parts)
    if not spelled or name not in zone_names():
        raise ScheduleError(f"timeZone {shown(name)} is unknown: {_suggestion(name)}")
    with resources.files("tzdata").joinpath("zoneinfo", *parts).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _suggestion(name: str) -> str:
    by_folded = {known.casefold(): known for known in zone_names()}
    folded = name[:64].casefold()
    if folded in by_folded:
        return f"the spelling is {by_folded[folded]}"
    close = difflib.get_close_matches(folded, by_folded, n=1)
    if close:
        return f"did you mean {by_folded[close[0]]}?"
    return "use a name of the IANA time zone database, as Europe/Madrid"


def local_time(zone: ZoneInfo, unix: int) -> datetime:
    """The wall clock of a zone at a moment given in seconds since 1970."""
    return datetime.fromtimestamp(unix, zone)


def offset_at(zone: ZoneInfo, unix: int) -> int:
    """Seconds that a zone's wall clock is ahead of UTC at a moment."""
    wall = datetime.fromtimestamp(unix, zone).replace(tzinfo=UTC)
    return int(wall.timestamp()) - unix


def first_change(zone: ZoneInfo, start: int, end: int) -> int | None:
    """The first moment in ``start < moment <= end`` at which the offset becomes another one."""
    for block in range(start // _BLOCK, (end - 1) // _BLOCK + 1):
        changes = _changes(zone, block)
        index = bisect_right(changes, start)
        if index < len(changes):
            return changes[index] if changes[index] <= end else None
    return None


@lru_cache(maxsize=8192)
def _changes(zone: ZoneInfo, block: int) -> tuple[int, ...]:
    """All changes of the offset in a block of 400 days (its first second belongs to the last one).

    Found by looking once a day: in no zone two changes lie closer than that (since 1973; a test
    holds it against all zones).
    """
    found = []
    start = block * _BLOCK
    before = offset_at(zone, start)
    for day in range(start + _DAY, start + _BLOCK + 1, _DAY):
        after = offset_at(zone, day)
        if after != before:
            low, high = day - _DAY, day
            while high - low > 1:
                middle = (low + high) // 2
                if offset_at(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            found.append(high)
            before = after
    return tuple(found)
