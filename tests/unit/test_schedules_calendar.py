"""Calendars: which days they leave out, what becomes of a slot then, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from factories import (
    SLOT,
    active_run,
    at,
    finished_run,
    job_body,
    make_observation,
    make_plan,
    make_run,
    make_schedule,
    schedule_body,
)
from test_schedules_desired import SETTINGS

from admin_api.services.attempt_rules import release_patch
from admin_api.services.jobs import jobs_of, read_schedule
from admin_api.services.next_slots import slots_of
from admin_api.web.schedule_page import SlotState, strip_of
from report_operator.api.v1alpha1.backfill_spec import Reprocess
from report_operator.api.v1alpha1.calendar import Calendar as CalendarSpec
from report_operator.api.v1alpha1.calendar import CalendarReference
from report_operator.crd.verdict import spec_problems
from report_operator.domain import names
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import held_by_calendar, make_queue
from report_operator.domain.admission.waiting import Hold
from report_operator.domain.backfills.planning import Slot, choose
from report_operator.domain.runs.deadlines import StartLimits, exceeded_deadline
from report_operator.domain.runs.history import PastRun, by_slot
from report_operator.domain.runs.observed import ObservedRun
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.runs.run import observe_job
from report_operator.domain.schedules.calendar import (
    freeze,
    parse_calendar,
    verdict,
)
from report_operator.domain.schedules.calendar_checks import calendar_problem, check_dates
from report_operator.domain.schedules.calendar_dates import DATES_LIMIT, DatesError, parse_dates
from report_operator.domain.schedules.decision import ScheduleLimits, decide
from report_operator.domain.schedules.desired import desired_cronjob, freeze_definition
from report_operator.domain.schedules.plan import observe_plan, plan_of_spec
from report_runner.contract.datefilters import is_business_day
from report_runner.contract.days_off import OriginProblem, origin_problem
from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

MADRID = ZoneInfo("Europe/Madrid")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = ScheduleLimits(StartLimits(2 * HOUR, 6 * HOUR), HistoryLimits(3, 3, 20))
NOW = at("2026-11-24 04:00")


def calendar(on_holiday: str = "Skip", dates=(), **spec):
    if not spec.keys() & {"country", "market"}:
        spec["configMapRef"] = {"name": "days"}
    made = CalendarSpec.model_validate({"onHoliday": on_holiday, **spec})
    return freeze(made, tuple(dates))


def local(text: str, zone: ZoneInfo = MADRID) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def why(text: str, **spec) -> str:
    return verdict(calendar(**spec), local(text)).why


# -- days ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("2026-12-25 06:00", {"country": "DE"}, "Christmas Day"),
        ("2026-12-24 06:00", {"country": "DE"}, ""),
        ("2026-11-01 06:00", {"country": "DE"}, ""),
        ("2026-11-01 06:00", {"country": "DE", "subdivision": "BY"}, "All Saints' Day"),
        ("2026-05-02 06:00", {"country": "ES", "subdivision": "MD"}, "Madrid Day"),
        ("2026-11-26 06:00", {"market": "XNYS"}, "Thanksgiving Day"),
        ("2026-05-25 06:00", {"market": "XNYS"}, "Memorial Day"),
        ("2026-11-28 06:00", {"country": "DE"}, ""),
        ("2026-11-28 06:00", {"country": "DE", "weekends": True}, "Saturday"),
        ("2026-11-27 06:00", {"country": "SA", "weekends": True}, "Friday"),
        ("2026-11-29 06:00", {"country": "SA", "weekends": True}, ""),
        ("2026-02-28 06:00", {"country": "CN", "weekends": True}, ""),
        ("2026-11-29 06:00", {"market": "XNYS", "weekends": True}, "Sunday"),
        ("2030-01-01 06:00", {"country": "JP"}, "New Year's Day"),
        ("2026-12-24 06:00", {"dates": [("2026-12-24", "Inventory")]}, "Inventory"),
        ("2026-12-24 06:00", {"dates": [("2026-12-24", "")]}, "a date of its own"),
        ("2026-12-25 06:00", {"dates": [("2026-12-24", "")]}, ""),
        ("2026-12-25 06:00", {"country": "DE", "on_holiday": "Run"}, ""),
    ],
)
def test_days_that_are_left_out(text: str, spec, expected: str) -> None:
    assert why(text, **spec) == expected


def test_day_is_the_local_one_of_the_slot() -> None:
    """Christmas Day begins in Tokyo while it is Christmas Eve in London."""
    instant = at("2026-12-24 16:00")
    known = calendar(country="DE")
    assert verdict(known, instant.astimezone(ZoneInfo("Asia/Tokyo"))).skipped
    assert not verdict(known, instant.astimezone(ZoneInfo("Europe/London"))).left_out


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("2026-12-25 06:00", {"country": "DE"}, "2026-12-28 06:00"),  # Friday, Saturday, Sunday
        ("2026-04-03 06:30", {"country": "DE"}, "2026-04-07 06:30"),  # Easter
        ("2026-11-28 06:00", {"country": "DE", "weekends": True}, "2026-11-30 06:00"),
        ("2026-11-26 17:00", {"market": "XNYS"}, "2026-11-27 17:00"),
        ("2026-11-28 06:00", {"country": "DE"}, "2026-11-30 06:00"),
        # On the day to which it moves the clocks go forward at two.
        ("2026-03-28 02:30", {"dates": [("2026-03-28", ""), ("2026-03-27", "")]},
         "2026-03-30 02:30"),
    ],
)  # fmt: skip
def test_slot_moves_to_the_next_business_day_at_its_local_time(text, spec, expected) -> None:
    found = verdict(calendar("NextBusinessDay", **spec), local(text))
    assert found.moved_to == local(expected)
    assert not found.skipped


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("2026-12-28 06:00", {"dates": [("2026-12-28", "")]}, "2026-12-25 06:00"),
        ("2026-04-06 06:30", {"country": "DE"}, "2026-04-02 06:30"),  # Easter
        ("2026-11-28 06:00", {"country": "DE"}, "2026-11-27 06:00"),
        ("2026-08-01 18:00", {"market": "XNYS"}, "2026-07-31 18:00"),
    ],
)
def test_slot_moves_to_the_business_day_before(text, spec, expected) -> None:
    found = verdict(calendar("PreviousBusinessDay", **spec), local(text))
    assert found.moved_to == local(expected)


def test_slot_without_a_business_day_within_reach_is_skipped() -> None:
    days = [((date(2026, 12, 1) + n * DAY).isoformat(), "shut") for n in range(90)]
    found = verdict(calendar("NextBusinessDay", days), local("2026-12-01 06:00"))
    assert found.skipped
    assert "no business day in 60 days" in found.why


@pytest.mark.parametrize(
    ("country", "subdivision", "market", "field", "words"),
    [
        ("XX", "", "", "country", ("has no country XX", "DE", "configMapRef")),
        ("UK", "", "", "country", ("has no country UK",)) ,
        ("DE", "BX", "", "subdivision", ("subdivision of DE BX", "did you mean", "BY")),
        ("VA", "ROME", "", "subdivision", ("leave it out",)),
        ("", "", "NYSEX", "market", ("did you mean NYSE", "XNYS")),
        ("DE", "BY", "", None, ()),
        ("DEU", "", "", None, ()),
        ("", "", "XECB", None, ()),
        ("list_supported_countries", "", "", "country", ("has no country",)),
    ],
)  # fmt: skip
def test_unknown_origin_is_refused_with_the_known_ones(
    country: str, subdivision: str, market: str, field: str | None, words
) -> None:
    if (country, field) == ("UK", "country") and origin_problem("UK", "", "") is None:
        field, words = None, ()  # an alias of GB in some releases of the library
    found = origin_problem(country, subdivision, market)
    assert (found.field if isinstance(found, OriginProblem) else None) == field
    for word in words:
        assert found is not None
        assert word in found.message


def test_calendar_survives_the_way_through_an_annotation() -> None:
    for made in (
        calendar(country="DE", subdivision="BY", weekends=True),
        calendar("NextBusinessDay", market="XNYS"),
        calendar(dates=[("2026-12-24", "Eve"), ("2026-12-31", "")]),
    ):
        assert parse_calendar(made.to_text()) == made
    assert calendar(country="DE").library.startswith("holidays ")


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "{}", "[" * 50_000,
     '{"onHoliday":"Never"}', '{"onHoliday":"Skip","dates":["2026-01-01"]}',
     '{"onHoliday":"Skip","dates":{"2026-13-01":""}}',
     '{"onHoliday":"Skip","country":"HolidaySum"}',
     '{"onHoliday":"Skip","market":"XX"}'],
)  # fmt: skip
def test_annotation_that_is_no_calendar_makes_no_run(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever reads Jobs takes any of them)
        parse_calendar(text)
    body = job_body({"metadata": {"annotations": {names.ANNOTATION_CALENDAR: text}}})
    with pytest.raises(ValueError):  # noqa: PT011
        observe_job(body)


# -- a ConfigMap's dates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24", [("2026-12-24", "")]),
        ("# ours\n\n2026-12-31 New Year's Eve\n2026-12-24\tEve \n", [
            ("2026-12-24", "Eve"), ("2026-12-31", "New Year's Eve")]),
        ("- 2026-12-24  # Eve\r\n- '2026-12-31'\r\n", [
            ("2026-12-24", "Eve"), ("2026-12-31", "")]),
        ("2026-12-24, Eve\n2026-12-24 again", [("2026-12-24", "Eve")]),
    ],
)  # fmt: skip
def test_list_of_dates(text: str, expected) -> None:
    assert list(parse_dates(text)) == expected


def icalendar(*lines: str) -> str:
    inner = "\r\n".join(lines)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{inner}\r\nEND:VCALENDAR\r\n"


def event(*lines: str) -> str:
    return icalendar("BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (event("DTSTART;VALUE=DATE:20261224", "SUMMARY:Christmas\\, \r\n Eve"),
         [("2026-12-24", "Christmas, Eve")]),
        (event("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"),
         [("2026-12-24", ""), ("2026-12-25", ""), ("2026-12-26", "")]),
        (event("DTSTART:20261224", "DTEND:20261224"), [("2026-12-24", "")]),
        (event("DTSTART;VALUE=DATE:20261224", "BEGIN:VALARM", "TRIGGER:-PT1H", "END:VALARM"),
         [("2026-12-24", "")]),
        (icalendar("BEGIN:VTIMEZONE", "BEGIN:STANDARD", "RRULE:FREQ=YEARLY", "DTSTART:19700101",
                   "END:STANDARD", "END:VTIMEZONE", "BEGIN:VEVENT", "DTSTART:20261224",
                   "END:VEVENT", "BEGIN:VEVENT", "DTSTART:20261231", "STATUS:CANCELLED",
                   "END:VEVENT"), [("2026-12-24", "")]),
    ],
)  # fmt: skip
def test_icalendar_of_whole_days(text: str, expected) -> None:
    assert list(parse_dates(text)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has no date"),
        ("# nothing", "it has no date"),
        ("2026-12-24\n24.12.2026", "line 2: not a date"),
        ("2026-02-30", "line 1: there is no such day: 2026-02-30"),
        ("2026-12-24Eve", "line 1: not a date"),
        ("٢٠٢٦-12-24", "line 1: not a date"),
        ("x" * 200_000, "more than 128 KiB"),
        ("\n".join(f"{date(2026, 1, 1) + n * DAY}" for n in range(DATES_LIMIT + 1)),
         f"more than {DATES_LIMIT} dates"),
        (event("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY"), "RRULE (events that recur)"),
        (event("DTSTART;VALUE=DATE:20261224", "RDATE:20271224"), "RDATE (events that recur)"),
        (event("DTSTART:20261224T090000Z"), "line 5: DTSTART is not a whole day"),
        (event("DTSTART;VALUE=DATE:20261224", "DURATION:P2D"), "write DTEND"),
        (event("SUMMARY:Eve"), "the event has no DTSTART"),
        (event("DTSTART:20261224", "DTEND:20291224"), "more than 366 days"),
        (event("DTSTART:20261224", "DTSTART:20261225"), "a second DTSTART"),
        (event("DTSTART:20260230"), "there is no such day: 2026-02-30"),
        (event("DTSTART:20261224").replace("END:VCALENDAR", ""), "is the file whole?"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VTODO", "END:VTODO has no BEGIN"),
        ("BEGIN:VCALENDAR\nnonsense", "line 2: not a line of iCalendar"),
        (icalendar(), "it has no date"),
    ],
)  # fmt: skip
def test_text_that_is_no_list_of_dates_says_where(text: str, words: str) -> None:
    with pytest.raises(DatesError) as raised:
        parse_dates(text)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("config_map", "reason", "words"),
    [
        (None, "CalendarNotFound", "configMapRef.name: ConfigMap days does not exist"),
        ({"data": {"other": ""}}, "CalendarNotFound", "configMapRef.key: ConfigMap days has no"),
        ({"data": {"dates": "soon"}}, "CalendarInvalid", "configMapRef: days/dates: line 1"),
    ],
)  # fmt: skip
def test_config_map_without_dates_is_told_with_its_field(config_map, reason, words) -> None:
    _, problem = check_dates(CalendarReference(name="days"), config_map)
    assert problem is not None
    assert problem.reason == reason
    assert problem.message.startswith("spec.calendar.")
    assert words in problem.message


# -- calendar and schedule -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "made", "words"),
    [
        ("0 6 25 12 *", calendar(country="DE"), "leaves out every slot of spec.schedule"),
        ("0 6 * * 6", calendar(country="DE", weekends=True), "leaves out every slot"),
        ("*/5 * * * *", calendar(country="DE", weekends=True), None),
        ("0 6 * * *", calendar(dates=[
            ((date(2026, 11, 24) + n * DAY).isoformat(), "") for n in range(400)]),
         "the dates of ConfigMap days leaves out every slot"),
        ("0 6,18 * * *", calendar("NextBusinessDay", country="DE"), "one slot a day"),
        ("@every 8h", calendar("NextBusinessDay", country="DE"), "one slot a day"),
        ("0 6 1 * *", calendar("NextBusinessDay", country="DE"), None),
        ("0 6 1 * *", calendar("PreviousBusinessDay", country="DE"), None),
        ("*/5 * * * *", calendar("PreviousBusinessDay", country="DE"), "one slot a day"),
        ("@every 48h", calendar("PreviousBusinessDay", country="DE"), "is not for @every"),
        ("0 6,18 * * *", calendar(country="DE"), None),
        ("0 6 25 12 *", calendar("NextBusinessDay", country="DE"), None),
    ],
)  # fmt: skip
def test_calendar_and_schedule_have_to_go_together(rule: str, made, words: str | None) -> None:
    problem = calendar_problem(make_schedule({"schedule": rule}).spec, made, NOW)
    assert (problem.message if problem else "").find(words or "") >= 0
    assert (problem is None) is (words is None)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"calendar": {"country": "XX"}}, "spec.calendar.country", "has no country XX"),
        ({"calendar": {"market": "NOPE"}}, "spec.calendar.market", "has no market NOPE"),
        ({"calendar": {}}, "spec.calendar", "exactly one of country, market and configMapRef"),
        ({"calendar": {"country": "DE", "market": "XNYS"}}, "spec.calendar", "exactly one"),
        ({"calendar": {"market": "XNYS", "subdivision": "BY"}}, "spec.calendar.subdivision",
         "needs its country"),
        ({"calendar": {"country": "DE", "onHoliday": "NextWorkday"}},
         "spec.calendar.onHoliday", "NextBusinessDay"),
        ({"calendar": {"country": "DE", "onHoliday": "NextBusinessDay"},
          "concurrencyPolicy": "Replace"}, "spec.calendar.onHoliday", "Forbid or Allow"),
        ({"calendar": {"country": "DE"}, "schedule": "0 6 25 12 *"}, "spec.calendar",
         "leaves out every slot"),
    ],
)  # fmt: skip
def test_preview_tells_what_the_cluster_would(changes, field: str, words: str) -> None:
    spec = make_schedule().spec.to_wire() | changes
    ((told, message),) = spec_problems(spec, NOW)
    assert told == field
    assert words in message


# -- at the gate -----------------------------------------------------------------------------------

CHRISTMAS = at("2026-12-25 05:00")
SKIPS, MOVES = calendar(country="DE").to_text(), calendar("NextBusinessDay", country="DE").to_text()
MONDAY = at("2026-12-28 05:00")


def on_christmas(text: str, **changes):
    return make_run(**{"slot": CHRISTMAS, "created_at": CHRISTMAS, "calendar": text, **changes})


def observation(now: datetime, *runs, text: str = SKIPS, since=CHRISTMAS - HOUR, **changes):
    plan = replace(make_plan(since=since), calendar=parse_calendar(text))
    return make_observation(now, plan=plan, runs=runs, **changes)


def test_run_on_a_holiday_ends_as_skipped_without_a_pod() -> None:
    run = on_christmas(SKIPS)
    decision = decide(observation(CHRISTMAS + timedelta(seconds=2), run), LIMITS)
    (entry,) = decision.history.recent
    assert (entry.outcome, entry.reason) == (Outcome.SKIPPED, Reason.HOLIDAY)
    assert "2026-12-25 is Christmas Day in the calendar of DE (holidays " in entry.message
    assert (decision.prune, decision.to_fail) == ([run], [])
    assert decision.update.status.queued == 0
    assert decision.update.due is None


def test_admission_lets_no_run_start_on_a_holiday() -> None:
    """It may see the Job before anybody has recorded that it is skipped."""
    runs = [on_christmas(SKIPS, uid="a"), on_christmas(MOVES, uid="b"), make_run(uid="c")]
    held = held_by_calendar(runs, CHRISTMAS)
    queue = make_queue(runs, AdmissionLimits(overall=9), holidays=held)
    assert [run.uid for run in queue.admissible] == ["c"]
    assert {entry.hold for entry in queue.waiting} == {None, Hold.HOLIDAY}
    told = {entry.run.uid: entry.reason for entry in queue.waiting}
    assert told["a"] == "Christmas Day: it is skipped (spec.calendar)"
    assert told["b"] == "Christmas Day: it starts 2026-12-28T05:00:00Z (spec.calendar)"
    assert held_by_calendar(runs, MONDAY) == {"a"}


@pytest.mark.parametrize("changes", [{"manual": True}, {"manual": True, "backfill": "b"}])
def test_run_that_somebody_asked_for_goes_its_way(changes) -> None:
    run = on_christmas(SKIPS, **changes)
    assert held_by_calendar([run], CHRISTMAS) == set()
    assert decide(observation(CHRISTMAS, run), LIMITS).history.recent == ()


def test_moved_run_is_neither_due_nor_late_nor_in_the_queue_until_its_day() -> None:
    run = on_christmas(MOVES)
    before = decide(observation(CHRISTMAS + 2 * DAY, run, text=MOVES), LIMITS)
    status = before.update.status
    assert (before.update.due, status.delay, status.queued) == (None, None, 0)
    assert (before.history.recent, before.prune) == ((), [])
    assert before.update.check_at is not None
    assert before.update.check_at <= MONDAY
    late = decide(observation(MONDAY + HOUR, run, text=MOVES), LIMITS).update
    assert late.due is not None
    assert (late.due.slot, late.due.at) == (CHRISTMAS, MONDAY)
    assert late.next_due == MONDAY
    assert late.status.delay is not None
    assert late.status.delay.seconds == 3600
    assert late.status.delay.since == MONDAY + timedelta(minutes=30)


def test_moved_run_does_not_wait_too_long_before_its_day() -> None:
    for now, ended in ((MONDAY + HOUR, False), (MONDAY + 7 * HOUR, True)):
        observed = ObservedRun(on_christmas(MOVES), now)
        assert (exceeded_deadline(observed, LIMITS.start) is not None) is ended


def test_running_moved_run_is_due_by_its_own_day() -> None:
    run = active_run(slot=CHRISTMAS, calendar=MOVES, admitted_at=MONDAY)
    due = decide(observation(MONDAY + HOUR, run, text=MOVES), LIMITS).update.due
    assert due is not None
    assert due.at == MONDAY


def test_slot_that_the_calendar_skips_is_not_late_without_a_job_either() -> None:
    """As when the CronJob controller was down."""
    update = decide(observation(CHRISTMAS + 2 * HOUR), LIMITS).update
    assert update.due is None
    after = CHRISTMAS + 2 * DAY  # the second day of Christmas is one too
    assert (update.next_due, update.status.next_schedule_time) == (after, after)


def test_slot_that_the_calendar_skips_is_not_told_as_missed() -> None:
    run = active_run(slot=CHRISTMAS + DAY, calendar=SKIPS, admitted_at=CHRISTMAS + DAY)
    status = decide(
        observation(CHRISTMAS + DAY + HOUR, run, since=CHRISTMAS - HOUR), LIMITS
    ).update.status
    assert status.last_missed is None


def test_moved_slot_without_a_job_is_late_by_the_day_that_it_moved_to() -> None:
    for now, due in ((CHRISTMAS + HOUR, None), (MONDAY + HOUR, CHRISTMAS)):
        found = decide(observation(now, text=MOVES), LIMITS).update.due
        assert (found.slot if found else None) == due


def test_calendar_goes_into_the_cronjob_and_back_into_the_plan() -> None:
    schedule = make_schedule({"calendar": {"country": "DE", "onHoliday": "NextBusinessDay"}})
    made = freeze(schedule.spec.calendar)
    definition = freeze_definition(schedule, None)
    body = desired_cronjob(schedule, definition, SETTINGS, SLOT, made)
    # With Forbid the controller would make no Job while one waits for its day.
    assert body["spec"]["concurrencyPolicy"] == "Allow"
    annotations = body["spec"]["jobTemplate"]["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_CONCURRENCY] == "Forbid"
    assert parse_calendar(annotations[names.ANNOTATION_CALENDAR]) == made
    body["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    plan = observe_plan(body)
    assert plan is not None
    assert plan.calendar == made


DAYS_OF_TWO_YEARS = [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]


@pytest.mark.parametrize(
    ("spec", "dates"),
    [
        ({"country": "DE", "subdivision": "BY"}, ()),
        ({"market": "XNYS"}, ()),
        ({"country": "CN"}, ()),  # works on some Saturdays and Sundays
        ({"country": "SA"}, ()),  # whose weekend is Friday and Saturday
        ({"configMapRef": {"name": "ours"}}, (("2026-11-24", "Founders"), ("2027-03-01", ""))),
    ],
)
def test_filters_of_a_run_have_the_days_by_which_its_slots_are_judged(spec, dates) -> None:
    schedule = make_schedule({"calendar": {**spec, "onHoliday": "Skip", "weekends": True}})
    judged_by = freeze(schedule.spec.calendar, dates)
    frozen = freeze_definition(schedule, None, judged_by)
    # As the runner reads it, which has the definition alone.
    holidays = Definition.model_validate_json(frozen.content).holidays
    left_out = {
        day
        for day in DAYS_OF_TWO_YEARS
        if verdict(judged_by, datetime.combine(day, time(6), UTC)).skipped
    }
    assert len(left_out) > 200
    assert {day for day in DAYS_OF_TWO_YEARS if not is_business_day(day, holidays)} == left_out
    off = {day for day in DAYS_OF_TWO_YEARS if day in holidays}
    assert off
    assert off < left_out
    # Another calendar is another definition; without one it is what it was.
    assert frozen.name != freeze_definition(schedule, None).name
    assert Definition.model_validate_json(freeze_definition(schedule, None).content).holidays == (
        frozenset()
    )


@pytest.mark.parametrize(
    ("spec", "skipped"), [({"country": "DE"}, True), ({"country": "XX"}, False)]
)
def test_schedule_without_a_cronjob_knows_its_days_off(spec, skipped: bool) -> None:
    plan = plan_of_spec(make_schedule({"calendar": spec}).spec, SLOT)
    assert plan is not None
    assert plan.verdict(CHRISTMAS).skipped is skipped


def test_job_carries_its_calendar() -> None:
    body = job_body({"metadata": {"annotations": {
        names.ANNOTATION_CALENDAR: MOVES,
        names.ANNOTATION_CRONJOB_SLOT: "2026-12-25T06:00:00+01:00",
    }, "creationTimestamp": "2026-12-25T05:00:00Z"}})  # fmt: skip
    run = observe_job(body)
    assert run.due_at == MONDAY
    assert not run.finished


# -- moved to a day before -----------------------------------------------------------------------

EARLIER = calendar("PreviousBusinessDay", country="DE").to_text()
THURSDAY = at("2026-12-24 05:00")  # then come Christmas on Friday and Saturday, and Sunday


def days_before(now: datetime, *runs, **changes):
    return observation(now, *runs, text=EARLIER, since=THURSDAY - HOUR, **changes)


def test_runs_of_days_off_are_made_on_the_business_day_before_once_its_own_is() -> None:
    own = active_run(uid="own", slot=THURSDAY, calendar=EARLIER)
    assert decide(days_before(THURSDAY), LIMITS).catch_up == []
    decision = decide(days_before(THURSDAY + timedelta(seconds=5), own), LIMITS)
    assert decision.catch_up == [CHRISTMAS, CHRISTMAS + DAY, CHRISTMAS + 2 * DAY]
    made = [
        make_run(uid=f"{n}", slot=slot, created_at=THURSDAY, calendar=EARLIER)
        for n, slot in enumerate(decision.catch_up)
    ]
    after = decide(days_before(THURSDAY + timedelta(seconds=9), own, *made), LIMITS)
    assert after.catch_up == []
    assert held_by_calendar(made, THURSDAY) == set()
    assert after.update.status.next_schedule_time == MONDAY
    assert after.update.status.queued == 3


def test_run_that_was_moved_to_a_day_before_is_late_by_that_day() -> None:
    own = finished_run("own", slot=THURSDAY, finished_at=THURSDAY + HOUR, calendar=EARLIER)
    for now, due in ((THURSDAY + HOUR / 4, CHRISTMAS), (THURSDAY + HOUR, CHRISTMAS)):
        update = decide(days_before(now, own), LIMITS).update
        assert update.due is not None
        assert (update.due.slot, update.due.at) == (due, THURSDAY)
        assert (update.status.delay is not None) is (now >= THURSDAY + HOUR / 2)


def test_job_of_a_run_that_was_moved_to_a_day_before_stays_until_its_slot_has_come() -> None:
    """Its name keeps the CronJob controller from making it once more."""
    runs = [
        finished_run(f"{n}", slot=CHRISTMAS + n * DAY, created_at=THURSDAY, calendar=EARLIER,
                     finished_at=THURSDAY + HOUR)
        for n in range(3)
    ]  # fmt: skip
    none = replace(LIMITS, history=HistoryLimits(0, 0, 20))
    first = decide(days_before(THURSDAY + HOUR, *runs), none)
    assert first.prune == []
    then = CHRISTMAS + 3 * DAY + HOUR  # a CronJob without a starting deadline tries for two days
    assert [run.uid for run in decide(days_before(then, *runs), none).prune] == ["0", "1"]


def test_job_with_a_slot_to_come_is_a_run_only_where_its_calendar_moved_it() -> None:
    def body(text: str, created: str):
        return job_body({"metadata": {"annotations": {
            names.ANNOTATION_CALENDAR: text,
            names.ANNOTATION_CRONJOB_SLOT: "2026-12-27T06:00:00+01:00",
        }, "creationTimestamp": created}})  # fmt: skip

    run = observe_job(body(EARLIER, "2026-12-24T05:00:01Z"))
    assert (run.slot, run.due_at) == (CHRISTMAS + 2 * DAY, THURSDAY)
    for text, created in ((EARLIER, "2026-12-23T05:00:00Z"), (MOVES, "2026-12-24T05:00:00Z")):
        with pytest.raises(ValueError, match="lies after its creation"):
            observe_job(body(text, created))


# -- shown and asked for ---------------------------------------------------------------------------


def summary(**spec):
    body = schedule_body({"schedule": "0 6 * * *", "timeZone": "Europe/Madrid", **spec})
    return read_schedule({**body, "status": {"scheduleSince": "2026-12-20T00:00:00Z"}})


def test_next_slots_say_what_the_calendar_makes_of_them() -> None:
    now = CHRISTMAS - HOUR
    skips = slots_of(summary(), 3, now, parse_calendar(SKIPS)).slots
    assert [slot.skipped for slot in skips] == [True, True, False]
    assert skips[0].note == "skipped: Christmas Day"
    moves = slots_of(summary(), 1, now, parse_calendar(MOVES)).slots
    assert (moves[0].slot, moves[0].moved_to) == (CHRISTMAS, MONDAY)
    assert moves[0].note == "moved to Mon 2026-12-28 06:00:00 CET: Christmas Day"


def test_strip_shows_slots_that_are_skipped_before_they_come_and_without_a_job() -> None:
    schedule = summary(calendar={"country": "DE"})
    strip = strip_of(schedule, [], CHRISTMAS + HOUR)
    states = {slot.slot: slot.state for slot in strip}
    assert states[CHRISTMAS] is states[CHRISTMAS + DAY] is SlotState.SKIPPED
    assert states[CHRISTMAS + 2 * DAY] is SlotState.TO_COME


def test_strip_shows_the_report_of_a_slot_to_come() -> None:
    schedule = summary(calendar={"country": "DE", "onHoliday": "PreviousBusinessDay"})
    run = finished_run(slot=CHRISTMAS, calendar=EARLIER)
    strip = strip_of(schedule, jobs_of(schedule, [run]), THURSDAY + HOUR)
    assert {slot.slot: slot.state for slot in strip}[CHRISTMAS] is SlotState.DELIVERED


def test_run_that_somebody_asks_for_waits_no_longer() -> None:
    run = on_christmas(MOVES)
    assert run.calendar_verdict.left_out
    patch = release_patch(run)["metadata"]
    assert patch["annotations"] == {names.ANNOTATION_CALENDAR: None}
    assert patch["resourceVersion"] == run.resource_version


@pytest.mark.parametrize(
    ("reprocess", "past", "runs"),
    [
        (Reprocess.MISSING, None, 0),
        (Reprocess.ALL, None, 1),
        (Reprocess.MISSING, Outcome.SKIPPED, 0),
        (Reprocess.FAILED, Outcome.SKIPPED, 0),
        (Reprocess.ALL, Outcome.SKIPPED, 1),
        (Reprocess.MISSING, Outcome.FAILED, 1),
    ],
)
def test_backfill_counts_dates_that_are_skipped_apart(reprocess, past, runs: int) -> None:
    slot = Slot(CHRISTMAS, "daily", "uid", date(2026, 12, 25), left_out=True)
    known = {} if past is None else by_slot([PastRun(CHRISTMAS, 1, past)])
    chosen = choose([slot], {("uid", at): found for at, found in known.items()}, reprocess, 5)
    assert (len(chosen.runs), chosen.skipped) == (runs, 1 - runs)
