"""Whether a calendar and its schedule go together, and what is wrong with its ConfigMap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.calendar import CalendarReference, OnHoliday
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.domain.cron.schedule import load_zone, parse
from report_operator.domain.runs.attempts import days_span
from report_operator.domain.schedules.calendar import Calendar, verdict
from report_operator.domain.schedules.calendar_dates import Dates, DatesError, parse_dates
from report_operator.domain.schedules.observation import ReadyProblem

CALENDAR_FIELD = "spec.calendar"
YEAR_AHEAD = timedelta(days=366)
DAYS_OF_A_RULE = 3  # with a slot, of which each has as many as any other; today may be half over


def calendar_problem(
    spec: ReportScheduleSpec, calendar: Calendar, now: datetime
) -> ReadyProblem | None:
    """What is wrong between a calendar and its schedule, as far as the next year shows."""
    moves = calendar.on_holiday.moves
    ahead = calendar.on_holiday is OnHoliday.PREVIOUS_BUSINESS_DAY
    if ahead and spec.schedule.strip().startswith("@every"):
        return ReadyProblem(
            ReadyReason.INVALID_SPEC,
            f"{CALENDAR_FIELD}.onHoliday: PreviousBusinessDay is not for @every, which counts from "
            "the run before: name the time of day in spec.schedule, or use NextBusinessDay",
        )
    kept = False
    for number, day in enumerate(_slots_by_day(spec, now)):
        if moves and number < DAYS_OF_A_RULE and len(day) > 1:
            return ReadyProblem(
                ReadyReason.INVALID_SPEC,
                f"{CALENDAR_FIELD}.onHoliday: {calendar.on_holiday.value} is for schedules with "
                f"one slot a day at most, and {spec.schedule} has several, whose runs would all be "
                "on one day; use Skip",
            )
        kept = kept or not verdict(calendar, day[0]).skipped
        if kept and (number >= DAYS_OF_A_RULE or not moves):
            return None
    if kept or parse(spec.schedule).next_after(now, load_zone(spec.time_zone)) is None:
        return None
    return ReadyProblem(
        ReadyReason.INVALID_SPEC,
        f"{CALENDAR_FIELD}: {calendar.origin} leaves out every slot of spec.schedule in the year "
        "to come, so there would be no report: compare the two",
    )


def _slots_by_day(spec: ReportScheduleSpec, now: datetime) -> Iterator[list[datetime]]:
    """The first two slots of each day that has any, in local time."""
    rule, zone, end = parse(spec.schedule), load_zone(spec.time_zone), now + YEAR_AHEAD
    slot = rule.next_after(now, zone)
    while slot is not None and slot <= end:
        local = slot.astimezone(zone)
        following = rule.next_after(slot, zone)
        second = following.astimezone(zone) if following else None
        # Not 02:30 twice, where the clocks are set back.
        again = second and second.date() == local.date() and second.time() != local.time()
        yield [local, *([second] if second and again else [])]
        _, last = days_span(zone, local.date(), local.date())
        slot = following if following and following > last else rule.next_after(last, zone)


def check_dates(
    reference: CalendarReference, config_map: Mapping[str, Any] | None
) -> tuple[Dates, ReadyProblem | None]:
    """The dates of a calendar's ConfigMap, and what is wrong with them."""
    field = f"{CALENDAR_FIELD}.configMapRef"
    if config_map is None:
        return (), ReadyProblem(
            ReadyReason.CALENDAR_NOT_FOUND,
            f"{field}.name: ConfigMap {reference.name} does not exist in this namespace; create it "
            "or correct the name",
        )
    data: Mapping[str, str] = config_map.get("data") or {}
    if reference.key not in data:
        return (), ReadyProblem(
            ReadyReason.CALENDAR_NOT_FOUND,
            f"{field}.key: ConfigMap {reference.name} has no key {reference.key} under data; add "
            "the dates under that key, or correct the key",
        )
    try:
        return parse_dates(data[reference.key]), None
    except DatesError as error:
        return (), ReadyProblem(
            ReadyReason.CALENDAR_INVALID, f"{field}: {reference.name}/{reference.key}: {error}"
        )
