"""Slots of schedules: properties that hold for any schedule, zone and moment, and the messages."""

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_operator.domain.cron import next as cron_next
from report_operator.domain.cron.rules import Calendar
from report_operator.domain.cron.schedule import (
    ScheduleError,
    latest_slot,
    load_zone,
    parse,
    schema_pattern,
    slots_between,
)
from report_operator.domain.cron.zone import first_change, offset_at, zone_names

MADRID = load_zone("Europe/Madrid")
ZONES = (
    "UTC",
    "Europe/Madrid",
    "America/New_York",
    "America/Havana",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def items(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted)
    return st.one_of(
        number.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, st.integers(1, high)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
        st.integers(1, high).map(lambda n: f"*/{n}"),
    )


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.lists(items(low, high), min_size=1, max_size=3).map(",".join))


expressions = st.tuples(
    fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)
).map(" ".join)
delays = st.integers(1, 200_000).map(lambda n: f"@every {n}s")
zones = st.sampled_from(ZONES).map(load_zone)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and an instant, mostly within some days of a change of its clocks."""
    zone, instant = draw(zones), draw(instants)
    start = int(instant.timestamp())
    change = first_change(zone, start, start + 370 * 86_400)
    if change is None or draw(st.integers(0, 4)) == 0:
        return zone, instant
    return zone, datetime.fromtimestamp(change + draw(st.integers(-300_000, 100_000)), UTC)


@settings(deadline=None)
@given(expressions, near_a_change())
def test_the_next_slot_is_later_and_on_a_whole_second(
    expression: str, place: tuple[ZoneInfo, datetime]
) -> None:
    zone, instant = place
    slot = parse(expression).next_after(instant, zone)
    if slot is not None:
        assert slot > instant
        assert slot.microsecond == 0
        assert slot.tzinfo is UTC
        assert slot.year <= instant.year + 6


@settings(deadline=None)
@given(expressions, st.sampled_from(["UTC", "Asia/Kathmandu", "Asia/Kolkata"]), instants)
def test_no_matching_minute_lies_before_the_next_slot(
    expression: str, name: str, instant: datetime
) -> None:
    """Judged minute by minute in zones whose clocks do not change."""
    schedule, zone = parse(expression), load_zone(name)
    assert isinstance(schedule.rule, Calendar)
    rule = schedule.rule
    slot = schedule.next_after(instant, zone)
    minute = instant.replace(second=0, microsecond=0)
    for _ in range(1_500):
        minute += timedelta(minutes=1)
        local = minute.astimezone(zone)
        if (
            rule.months >> local.month & 1
            and rule.day_matches(local.day, local.isoweekday() % 7)
            and rule.hours >> local.hour & 1
            and rule.minutes >> local.minute & 1
        ):
            assert slot == minute
            return
    assert slot is None or slot > minute


@settings(max_examples=200, deadline=None)
@given(expressions, near_a_change(), st.integers(0, 500_000))
def test_the_latest_slot_is_the_last_of_all(
    expression: str, place: tuple[ZoneInfo, datetime], seconds: int
) -> None:
    zone, after = place
    until = after + timedelta(seconds=seconds)
    schedule = parse(expression)
    window = slots_between(schedule, zone, after, until, 10_000)
    assert not window.truncated
    assert latest_slot(schedule, zone, after, until) == (window.slots or (None,))[-1]


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("expression", ["0 6 * * *", "30 */5 * * *", "*/20 4 * * 0,5", "0 0 * * *"])
def test_the_latest_slot_is_the_last_of_all_when_the_clocks_change(
    expression: str, name: str
) -> None:
    schedule, zone = parse(expression), load_zone(name)
    start = int(at("2025-01-01T00:00:00").timestamp())
    for _ in range(2):
        change = first_change(zone, start, start + 400 * 86_400) or start + 86_400
        after = datetime.fromtimestamp(change - 5 * 86_400, UTC)
        for hours in range(-24, 54, 3):
            until = datetime.fromtimestamp(change + hours * 3_600, UTC)
            window = slots_between(schedule, zone, after, until, 1_000)
            assert latest_slot(schedule, zone, after, until) == (window.slots or (None,))[-1]
        start = change + 1


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["0 6 * * 5", "30 2 * * *", "0 0 1 * *", "15 */3 * 3-5 *", "0 0 29 2 *"]),
    near_a_change(),
    st.integers(0, 900),
)
def test_the_latest_slot_is_the_last_of_all_over_years(
    expression: str, place: tuple[ZoneInfo, datetime], days: int
) -> None:
    zone, after = place
    until = after + timedelta(days=days)
    schedule = parse(expression)
    window = slots_between(schedule, zone, after, until, 10_000)
    assert latest_slot(schedule, zone, after, until) == (window.slots or (None,))[-1]


@settings(deadline=None)
@given(delays, instants, st.integers(0, 1_000_000))
def test_every_counts_from_the_instant(expression: str, after: datetime, seconds: int) -> None:
    schedule = parse(expression)
    until = after + timedelta(seconds=seconds)
    window = slots_between(schedule, MADRID, after, until, 50)
    if not window.truncated:
        assert latest_slot(schedule, MADRID, after, until) == (window.slots or (None,))[-1]
    delay = timedelta(seconds=int(expression.removeprefix("@every ").removesuffix("s")))
    whole = after.replace(microsecond=0)
    assert window.slots == tuple(whole + delay * (n + 1) for n in range(len(window.slots)))


@settings(deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="0123456789*?/-, @TZLW#eveyhmsd", max_size=25))
def test_any_text_is_a_schedule_or_a_clear_error(text: str) -> None:
    try:
        parse(text)
    except ScheduleError as error:
        message = str(error)
    else:
        message = "accepted"
        assert re.search(schema_pattern(), text)
    assert 0 < len(message) < 400


def test_a_year_of_every_minute_is_not_enumerated(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    next_unix = cron_next.next_unix

    def counted(*arguments: object) -> int | None:
        nonlocal steps
        steps += 1
        return next_unix(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cron_next, "next_unix", counted)
    end = at("2026-12-31T23:59:30")
    start = end - timedelta(days=365)
    assert latest_slot(parse("* * * * *"), MADRID, start, end) == at("2026-12-31T23:59:00")
    assert steps < 6_000  # of 525,600 slots


def test_a_window_keeps_the_oldest_and_says_that_there_are_more() -> None:
    schedule, start = parse("*/10 * * * *"), at("2026-11-24T06:00:00")
    window = slots_between(schedule, MADRID, start, at("2026-11-24T06:30:00"), 2)
    assert window.slots == (at("2026-11-24T06:10:00"), at("2026-11-24T06:20:00"))
    assert window.truncated
    window = slots_between(schedule, MADRID, window.slots[-1], at("2026-11-24T06:30:00"), 2)
    assert window.slots == (at("2026-11-24T06:30:00"),)  # the end belongs to the window
    assert not window.truncated
    with pytest.raises(ValueError, match="at least 1"):
        slots_between(schedule, MADRID, start, start, 0)


def test_a_schedule_that_never_fires_has_no_slot() -> None:
    for expression in ("0 0 31 2 *", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", ", * * * *"):
        assert parse(expression).next_after(at("2026-11-24T00:00:00"), MADRID) is None


def test_the_slot_in_the_hour_that_is_skipped_or_repeated() -> None:
    daily = parse("30 2 * * *")
    skipped = slots_between(daily, MADRID, at("2026-03-28T00:00:00"), at("2026-03-31T00:00:00"), 9)
    assert skipped.slots == (at("2026-03-28T01:30:00"), at("2026-03-30T00:30:00"))
    repeated = slots_between(daily, MADRID, at("2026-10-24T12:00:00"), at("2026-10-26T12:00:00"), 9)
    assert repeated.slots == (
        at("2026-10-25T00:30:00"),
        at("2026-10-25T01:30:00"),
        at("2026-10-26T01:30:00"),
    )


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        parse("@daily").next_after(datetime(2026, 1, 1), MADRID)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("61 * * * *", ["minute field: 61 is above the maximum 59", "minutes are 0-59"]),
        ("* 24 * * *", ["hour field", "hours are 0-23"]),
        ("* * 0 * *", ["day of month field", "below the minimum 1"]),
        ("* * * 13 *", ["month field", "1-12 or jan-dec"]),
        ("0 6 * * 7", ["day of week field: 7", "Sunday is 0"]),
        ("0 6 * * monday", ["day of week field", "'monday'", "sun-sat"]),
        ("0 6 * * fri-mon", ["begins after it ends", "5-6,0-1"]),
        ("*/0 * * * *", ["minute field", "step", "1 or more"]),
        ("*/5/2 * * * *", ["too many slashes"]),
        ("1-2-3 * * * *", ["too many hyphens"]),
        ("5- * * * *", ["a number is missing"]),
        ("*/-5 * * * *", ["negative"]),
        ("0 0 L * *", ["day of month field", "L, W and #"]),
        ("0 0 * * 5#2", ["day of week field", "L, W and #"]),
        ("0 0 0 6 * *", ["expected five fields", "found 6", "seconds"]),
        ("0 6 * *", ["expected five fields", "found 4"]),
        ("", ["empty", "five fields"]),
        (" @daily", ["stands alone"]),
        ("@reboot", ["'@reboot'", "CronJob dialect", "@hourly"]),
        ("@every 1 day", ["'1 day'", "h, m, s"]),
        ("TZ=Europe/Madrid 0 6 * * *", ["TZ=", "timeZone"]),
        ("x" * 5_000, ["expected five fields"]),
    ],
)
def test_the_message_names_field_value_and_remedy(expression: str, parts: list[str]) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(expression)
    for part in parts:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 400


def test_every_zone_there_is_can_be_loaded() -> None:
    assert len(zone_names()) > 500
    for name in zone_names():
        assert load_zone(name).key == name
    assert load_zone(None) is load_zone("UTC")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "empty"),
        ("Local", "from machine to machine"),
        ("LOCAL", "from machine to machine"),
        ("Mars/Olympus", "is unknown"),
        ("europe/madrid", "the spelling is Europe/Madrid"),
        ("Europe/Madird", "did you mean Europe/Madrid?"),
        ("../etc/passwd", "is unknown"),
        ("Europe/../UTC", "is unknown"),
        ("./UTC", "is unknown"),
        ("/etc/localtime", "is unknown"),
        ("Europe//Madrid", "is unknown"),
        ("Europe/Madrid/", "is unknown"),
        ("Europe/Madrid\n", "is unknown"),
        ("Europe\\Madrid", "is unknown"),
        ("Europe", "is unknown"),
        ("zone.tab", "is unknown"),
        ("tzdata.zi", "is unknown"),
        ("UTC+2", "is unknown"),
        ("UTC\0", "is unknown"),
        ("Ｕ" * 9_000, "is unknown"),
    ],
)
def test_a_zone_name_that_kubernetes_refuses_is_refused(name: str, part: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        load_zone(name)
    assert "timeZone" in str(caught.value)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 400


START, END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1973, 2037))


def _listed_changes(name: str) -> list[int]:
    """The moments since 1973 at which the file of a zone changes its offset.

    From some year on most files have a yearly rule instead of a list.
    """
    zone = load_zone(name)
    return [
        moment
        for moment in _transitions(name)
        if START < moment <= END and offset_at(zone, moment - 1) != offset_at(zone, moment)
    ]


def test_what_the_search_for_changes_takes_for_granted_holds_in_all_zones() -> None:
    total = 0
    for name in zone_names():
        zone, listed = load_zone(name), _listed_changes(name)
        assert all(moment % 60 == 0 for moment in listed), name
        assert all(offset_at(zone, moment) % 60 == 0 for moment in listed), name
        assert all(after - before > 86_400 for before, after in pairwise(listed)), name
        total += len(listed)
    assert total > 15_000


@pytest.mark.parametrize("name", [*ZONES, "Africa/El_Aaiun", "Asia/Gaza", "America/Caracas"])
def test_changes_of_the_clocks_are_found_to_the_second(name: str) -> None:
    zone = load_zone(name)
    for before, moment in pairwise([START, *_listed_changes(name)]):
        assert first_change(zone, before, moment) == moment
        assert first_change(zone, before, moment - 1) is None


def _transitions(name: str) -> list[int]:
    """The 64-bit transition times of a zone's TZif file (RFC 8536)."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def counts(position: int) -> list[int]:
        header = data[position + 20 : position + 44]
        return [int.from_bytes(header[n : n + 4], "big") for n in range(0, 24, 4)]

    utc, standard, leaps, times, types, letters = counts(0)
    second = 44 + times * 5 + types * 6 + letters + leaps * 8 + standard + utc
    times = counts(second)[3]
    first = second + 44
    return [
        int.from_bytes(data[n : n + 8], "big", signed=True)
        for n in range(first, first + 8 * times, 8)
    ]


def test_the_zones_come_from_the_distribution_and_not_from_the_machine(tmp_path: Path) -> None:
    other = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Madrid").write_bytes(other)
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    try:
        assert offset_at(ZoneInfo.no_cache("Europe/Madrid"), 1_800_000_000) == 9 * 3_600
        assert offset_at(load_zone.__wrapped__("Europe/Madrid"), 1_800_000_000) == 3_600
    finally:
        zoneinfo.reset_tzpath()


def test_the_pattern_keeps_to_what_re2_and_ecmascript_share() -> None:
    pattern = schema_pattern()
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    assert pattern.isascii()
    assert "\\" not in pattern
    assert "(?" not in pattern
    for refused in ("61 * * * *", "0 0 0 * * *", "@reboot", "0 0 * * 7", "TZ=UTC 0 0 * * *"):
        assert not re.search(pattern, refused)
