"""Which days a schedule's calendar leaves out, and what becomes of a slot on such a day.

A calendar is frozen into the CronJob, and by it into each Job, as JSON in an annotation: a run is
judged by the calendar with which its Job was made. Public holidays and days off of markets are the
library's (holidays), which is imported where a calendar needs it, and asked year by year.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib import metadata
from types import MappingProxyType

from report_operator.api.v1alpha1.calendar import Calendar as CalendarSpec
from report_operator.api.v1alpha1.calendar import OnHoliday
from report_operator.domain.texts import cut

MOVED_LIMIT = 60  # days within which a business day has to come
NAME_LIMIT = 60  # characters of a day's name
CALENDARS = 512  # that are kept parsed
YEARS = 1024  # of all calendars that are kept computed: about 2 kB each
_LANGUAGE = "en_US"  # of the names, where the library has it


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
        if self.config_map:
            return f"the dates of ConfigMap {self.config_map}"
        if self.market:
            return f"the calendar of {self.market}"
        place = f"{self.country}-{self.subdivision}" if self.subdivision else self.country
        return f"the calendar of {place}"

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


@dataclass(frozen=True, slots=True)
class _Year:
    named: Mapping[date, str]
    weekend: frozenset[int]
    workdays: frozenset[date]  # of a weekend, on which people work all the same


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
    _year(calendar.country, calendar.subdivision, calendar.market, 2000)  # ValueError
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
    year = _year(calendar.country, calendar.subdivision, calendar.market, day.year)
    if day in year.named:
        return year.named[day]
    if weekends and day.weekday() in year.weekend and day not in year.workdays:
        return f"{day:%A}"
    return ""


@dataclass(frozen=True, slots=True)
class OriginProblem:
    """`field` is the one to blame; the message says which values there are."""

    field: str
    message: str


def origin_problem(country: str, subdivision: str, market: str) -> OriginProblem | None:
    """What the library does not know."""
    if market and market not in _markets():
        return OriginProblem("market", _unknown("market", market, _markets()))
    if country and country not in _countries():
        return OriginProblem("country", _unknown("country", country, _countries()))
    if subdivision and subdivision not in _subdivisions(country):
        known = _subdivisions(country)
        if not known:
            return OriginProblem("subdivision", f"{country} has no subdivisions here: leave it out")
        what = f"subdivision of {country}"
        return OriginProblem("subdivision", _unknown(what, subdivision, known))
    return None


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name.upper(), known, 1, 0.5)
    meant = f": did you mean {close[0]}?" if close else "."
    return (
        f"{library_version()} has no {what} {name}{meant} It has {', '.join(known)}; list other "
        "dates in a ConfigMap (configMapRef)"
    )


@lru_cache(maxsize=1)
def _countries() -> tuple[str, ...]:
    import holidays

    return tuple(sorted(holidays.list_supported_countries()))


@lru_cache(maxsize=1)
def _markets() -> tuple[str, ...]:
    import holidays

    return tuple(sorted(holidays.list_supported_financial()))


@lru_cache(maxsize=256)
def _subdivisions(country: str) -> tuple[str, ...]:
    import holidays

    return tuple(sorted(holidays.list_supported_countries().get(country, ())))


@lru_cache(maxsize=1)
def library_version() -> str:
    """Such as `holidays 0.80`."""
    return f"holidays {metadata.version('holidays')}"


@lru_cache(maxsize=YEARS)
def _year(country: str, subdivision: str, market: str, year: int) -> _Year:
    """Raises ValueError for what the library does not know."""
    problem = origin_problem(country, subdivision, market)
    if problem is not None:
        raise ValueError(problem.message)
    if not country and not market:
        return _Year(MappingProxyType({}), frozenset({5, 6}), frozenset())
    import holidays  # here, as most operators have no schedule with a calendar

    if market:
        found = holidays.financial_holidays(market, years=year, language=_LANGUAGE)
    else:
        found = holidays.country_holidays(
            country, subdiv=subdivision or None, years=year, language=_LANGUAGE
        )
    named = {day: cut(name, NAME_LIMIT) for day, name in found.items()}
    workdays = getattr(found, "weekend_workdays", None) or ()
    return _Year(MappingProxyType(named), frozenset(found.weekend), frozenset(workdays))
