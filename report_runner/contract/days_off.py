"""Which days are no business days: holidays of a country, days off of a market, dates of one's own.

The operator judges slots by it, and a run's filters its dates: of the same definition both have the
same days, since it names the library's version. Public holidays and days off of markets are the
library's (holidays), which is imported where a calendar needs it, and asked year by year.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from importlib import metadata
from types import MappingProxyType
from typing import Any

from pydantic import Field

from report_runner.contract.model import Model

NAME_LIMIT = 60  # characters of a day's name
YEARS = 1024  # of all calendars that are kept computed: about 2 kB each
CUT = " ... (cut)"
_LANGUAGE = "en_US"  # of the names, where the library has it


class DaysOff(Model):
    """A calendar as a definition holds it; `dates` are of a ConfigMap."""

    country: str = ""
    subdivision: str = ""
    market: str = ""
    config_map: str = ""
    dates: list[date] = Field(default_factory=list)
    library: str = ""  # name and version of what knew the days when this was written

    @property
    def origin(self) -> str:
        """For a person, such as `the calendar of DE-BY`."""
        return origin_of(self.country, self.subdivision, self.market, self.config_map)

    def described(self) -> str:
        """Origin and version, such as `the calendar of DE-BY (holidays 0.80)`."""
        return f"{self.origin} ({self.library})" if self.library else self.origin

    def problem(self) -> str:
        """Why its days cannot be told here; '' where they can."""
        if self.library and self.library != library_version():
            return (
                f"{self.origin} is of {self.library}, and this image has {library_version()}: the "
                "images of operator and runner have to be of one version"
            )
        found = origin_problem(self.country, self.subdivision, self.market)
        return found.message if found is not None else ""

    def __contains__(self, day: object) -> bool:
        """Whether the calendar leaves out the day. A weekend is not in it, unless it is listed."""
        if not isinstance(day, date):
            return False
        return day in self.dates or day in self._year(day).named

    def __iter__(self) -> Any:
        """A template that loops over it would get fields of this class."""
        raise TypeError("holidays have no end: ask for one day, as in `report_date in holidays`")

    def is_business_day(self, day: date) -> bool:
        """Neither left out nor of the weekend, which a country may work on."""
        year = self._year(day)
        if day in self.dates or day in year.named:
            return False
        return day.weekday() not in year.weekend or day in year.workdays

    def _year(self, day: date) -> Year:
        return year_of(self.country, self.subdivision, self.market, day.year)


def origin_of(country: str, subdivision: str, market: str, config_map: str) -> str:
    if config_map:
        return f"the dates of ConfigMap {config_map}"
    if market:
        return f"the calendar of {market}"
    return f"the calendar of {f'{country}-{subdivision}' if subdivision else country}"


@dataclass(frozen=True, slots=True)
class Year:
    """The days of one year."""

    named: Mapping[date, str]
    weekend: frozenset[int]
    workdays: frozenset[date]  # of a weekend, on which people work all the same


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
def year_of(country: str, subdivision: str, market: str, year: int) -> Year:
    """Raises ValueError for what the library does not know."""
    problem = origin_problem(country, subdivision, market)
    if problem is not None:
        raise ValueError(problem.message)
    if not country and not market:
        return Year(MappingProxyType({}), frozenset({5, 6}), frozenset())
    import holidays  # here, as most operators have no schedule with a calendar

    if market:
        found = holidays.financial_holidays(market, years=year, language=_LANGUAGE)
    else:
        found = holidays.country_holidays(
            country, subdiv=subdivision or None, years=year, language=_LANGUAGE
        )
    named = {day: _cut(name) for day, name in found.items()}
    workdays = getattr(found, "weekend_workdays", None) or ()
    return Year(MappingProxyType(named), frozenset(found.weekend), frozenset(workdays))


def _cut(name: str) -> str:
    return name if len(name) <= NAME_LIMIT else name[: NAME_LIMIT - len(CUT)] + CUT
