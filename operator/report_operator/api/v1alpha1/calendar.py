"""`spec.calendar`: the days on which no report is wanted, or only on the next business day."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.model import Boolean, Model, ObjectName
from report_runner.contract.rules import Rule, matches


class OnHoliday(StrEnum):
    """What becomes of a slot on a day that the calendar leaves out."""

    SKIP = "Skip"
    PREVIOUS_BUSINESS_DAY = "PreviousBusinessDay"
    NEXT_BUSINESS_DAY = "NextBusinessDay"
    RUN = "Run"

    @property
    def moves(self) -> bool:
        """Whether the run takes place on another day."""
        return self in (OnHoliday.PREVIOUS_BUSINESS_DAY, OnHoliday.NEXT_BUSINESS_DAY)


class CalendarReference(Model):
    """A key of a ConfigMap in the namespace of the ReportSchedule."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: Annotated[
        str,
        StringConstraints(max_length=253),
        matches("[-._a-zA-Z0-9]+", "write a key of a ConfigMap: letters, digits, '-', '_' and '.'"),
    ] = Field(
        default="dates",
        description="Key that holds the dates: one a line (2026-12-24 Christmas Eve), or an "
        "iCalendar file with whole-day events.",
    )


def _has_one_origin(calendar: Calendar) -> bool:
    origins = (calendar.country, calendar.market, calendar.config_map_ref)
    return sum(origin is not None for origin in origins) == 1


class Calendar(Model):
    """Public holidays of a country, days off of a market, or dates of your own."""

    rules = (
        Rule(
            "[has(self.country), has(self.market), has(self.configMapRef)]"
            ".filter(x, x).size() == 1",
            "write exactly one of country, market and configMapRef",
            _has_one_origin,
        ),
        Rule(
            "!has(self.subdivision) || has(self.country)",
            "a subdivision needs its country",
            lambda calendar: calendar.subdivision is None or calendar.country is not None,
            path="subdivision",
        ),
    )

    country: (
        Annotated[
            str,
            StringConstraints(max_length=3),
            matches("[A-Z]{2,3}", "write a country's ISO 3166 code in capitals, such as DE"),
        ]
        | None
    ) = Field(default=None, description="ISO 3166 code of a country: its public holidays.")
    subdivision: (
        Annotated[
            str,
            StringConstraints(max_length=64),
            matches("[^\\x00-\\x1f\\x7f]+", "write a state or region of the country, such as BY"),
        ]
        | None
    ) = Field(default=None, description="State or region, whose holidays count as well, e.g. BY.")
    market: (
        Annotated[
            str,
            StringConstraints(max_length=10),
            matches("[A-Z0-9]{2,10}", "write a market's code in capitals, such as XNYS"),
        ]
        | None
    ) = Field(
        default=None, description="Code (MIC) of a financial market, e.g. XNYS: its days off."
    )
    config_map_ref: CalendarReference | None = Field(
        default=None, description="Dates of your own, in a ConfigMap."
    )
    weekends: Boolean = Field(
        default=False,
        description="With Skip: whether the country's weekend is left out as a holiday is. It is "
        "never a business day, whatever this says.",
    )
    on_holiday: OnHoliday = Field(
        default=OnHoliday.SKIP,
        description="A slot on such a day. Skip: no run, the outcome is Skipped. "
        "PreviousBusinessDay, NextBusinessDay: it runs on the business day before or after it, at "
        "the same local time, for its own report date; so does one on a weekend. Run: as on any "
        "other day.",
    )
