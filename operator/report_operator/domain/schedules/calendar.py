"""Which days a schedule's calendar leaves out, and what becomes of a slot on such a day.

A calendar is frozen into the CronJob, and by it into each Job, as JSON in an annotation: a run is
judged by the calendar with which its Job was made. The days are those of report_runner's
contract.days_off, which the filters of a run ask as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from report_operator.api.v1alpha1.calendar import Calendar as CalendarSpec
from report_operator.api.v1alpha1.calendar import OnHoliday
from report_operator.domain.texts import cut
from report_runner.contract.days_off import (
    NAME_LIMIT,
    DaysOff,
    library_version,
    origin_of,
    year_of,
)

MOVED_LIMIT = 60  # days within which a business day has to come
CALENDARS = 512  # that are kept parsed


@dataclass(frozen=True, slots=True)
class Calendar:
    """`dates` are of a ConfigMap: ISO date and name, ascending."""

    on_holiday: OnHoliday
    weekends: bool = False
    country: str = ""
    subdivision: str = ""
    market: str = ""
    config_map: str = ""
    dates: tuple[tuple[str, str], ...] = ()
    library: str = ""  # name and version of what knew the days when this was written

    @property
    def origin(self) -> str:
        """For a person, such as `the calendar of DE-BY`."""
        return origin_of(self.country, self.subdivision, self.market, self.config_map)

    def days_off(self) -> DaysOff:
        """What a run's filters know of it."""
        return DaysOff(
            country=self.country,
            subdivision=self.subdivision,
            market=self.market,
            config_map=self.config_map,
            dates=[date.fromisoformat(day) for day, _ in self.dates],
            library=self.library,
        )

    def to_text(self) -> str:
        """JSON, the same for the same calendar."""
        found = {
            "onHoliday": self.on_holiday.value,
            "weekends": self.weekends,
            "country": self.country,
            "subdivision": self.subdivision,
            "market": self.market,
            "configMap": self.config_map,
            "dates": dict(self.dates),
            "library": self.library,
        }
        kept = {name: value for name, value in found.items() if value}
        return json.dumps(kept, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the calendar says of one slot."""

    why: str = ""  # the day's name, where it is left out
    skipped: bool = False
    moved_to: datetime | None = None  # UTC

    @property
    def left_out(self) -> bool:
        """Whether the slot gets no run at its own time."""
        return self.skipped or self.moved_to is not None


AS_ALWAYS = Verdict()


def freeze(spec: CalendarSpec, dates: tuple[tuple[str, str], ...] = ()) -> Calendar:
    """`dates` are those of its ConfigMap."""
    return Calendar(
        on_holiday=spec.on_holiday,
        weekends=spec.weekends,
        country=spec.country or "",
        subdivision=spec.subdivision or "",
        market=spec.market or "",
        config_map=spec.config_map_ref.name if spec.config_map_ref else "",
        dates=dates,
        library="" if spec.config_map_ref else library_version(),
    )


def calendar_of_spec(spec: CalendarSpec) -> Calendar | None:
    """Without the dates of a ConfigMap; None where the library does not know it."""
    try:
        return parse_calendar(freeze(spec).to_text())
    except ValueError:
        return None


@lru_cache(maxsize=CALENDARS)
def parse_calendar(text: str) -> Calendar:
    """The calendar of an annotation. Raises ValueError for what `to_text` does not write."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("a calendar is not as deep as this") from error
    if not isinstance(found, dict):
        raise ValueError("a calendar is a JSON object")  # noqa: TRY004  (as for any other text)
    dates = found.get("dates") or {}
    if not isinstance(dates, dict):
        raise ValueError("the dates of a calendar are a JSON object")  # noqa: TRY004
    for day in dates:
        date.fromisoformat(day)
    calendar = Calendar(
        on_holiday=OnHoliday(str(found.get("onHoliday"))),
        weekends=found.get("weekends") is True,
        country=str(found.get("country", "")),
        subdivision=str(found.get("subdivision", "")),
        market=str(found.get("market", "")),
        config_map=str(found.get("configMap", "")),
        dates=tuple(sorted((str(day), cut(str(name), NAME_LIMIT)) for day, name in dates.items())),
        library=str(found.get("library", "")),
    )
    year_of(calendar.country, calendar.subdivision, calendar.market, 2000)  # ValueError
    return calendar


def verdict(calendar: Calendar | None, local: datetime) -> Verdict:
    """What becomes of a slot; `local` is the slot on the wall clock of its zone, aware."""
    if calendar is None or calendar.on_holiday is OnHoliday.RUN:
        return AS_ALWAYS
    moves = calendar.on_holiday.moves
    why = day_off(calendar, local.date(), weekends=calendar.weekends or moves)
    if not why:
        return AS_ALWAYS
    if not moves:
        return Verdict(why, skipped=True)
    day = local.date()
    back = calendar.on_holiday is OnHoliday.PREVIOUS_BUSINESS_DAY
    for _ in range(MOVED_LIMIT):
        day += timedelta(days=-1 if back else 1)
        if not day_off(calendar, day, weekends=True):
            moved = datetime.combine(day, local.time(), local.tzinfo).astimezone(UTC)
            return Verdict(why, moved_to=moved)
    return Verdict(f"{why}, and no business day in {MOVED_LIMIT} days", skipped=True)


def day_off(calendar: Calendar, day: date, *, weekends: bool) -> str:
    """The name of the day, where the calendar leaves it out; '' for any other."""
    named = dict(calendar.dates).get(day.isoformat()) if calendar.dates else None
    if named is not None:
        return named or "a date of its own"
    year = year_of(calendar.country, calendar.subdivision, calendar.market, day.year)
    if day in year.named:
        return year.named[day]
    if weekends and day.weekday() in year.weekend and day not in year.workdays:
        return f"{day:%A}"
    return ""
