"""Changes of the clocks: what is told of a schedule is what its slots do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from factories import make_plan, schedule_body, update_at
from hypothesis import given
from hypothesis import strategies as st
from test_pages_http import KnownCluster, Site

from admin_api.errors import RefusedError
from admin_api.services.jobs import read_schedule
from admin_api.services.next_slots import find_schedule, slots_of
from report_operator.domain.cron.schedule import load_zone, parse, slots_between
from report_operator.domain.schedules.clock_changes import (
    AHEAD,
    ClockEffect,
    clock_changes,
    describe_changes,
    upcoming,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)
GAP = "2027-03-28 02:30 has no run: there is no such time in Europe/Madrid that day"
DOUBLE = "2027-10-31 02:30 comes twice in Europe/Madrid: runs both times, at 00:30Z and 01:30Z"


def told(expression: str, zone: str = "Europe/Madrid") -> str:
    where = load_zone(zone)
    return describe_changes(clock_changes(parse(expression), where, NOW), where)


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("30 2 * * *", "Europe/Madrid", f"change of the clocks: {GAP}; {DOUBLE}"),
        # Its midnight is skipped, and the controller passes the whole Friday over.
        (
            "0 6 * * 5",
            "Africa/Cairo",
            "change of the clocks: 2027-04-30 06:00 has no run: the clocks of Africa/Cairo change "
            "that day",
        ),
        (
            "15,45 2 28 3 *",
            "Europe/Madrid",
            "change of the clocks: 2027-03-28 02:15 has no run (and 1 more time of that day): "
            "there is no such time in Europe/Madrid that day",
        ),
        ("0 6 * * *", "Europe/Madrid", ""),
        ("*/5 * * * *", "Europe/Madrid", ""),  # no hour is missed
        ("@hourly", "Australia/Lord_Howe", ""),
        ("@every 2h", "Europe/Madrid", ""),
        ("30 2 * * *", "Etc/UTC", ""),
    ],
)
def test_what_is_told(expression: str, zone: str, expected: str) -> None:
    assert told(expression, zone) == expected


ZONES = ["Europe/Madrid", "Africa/Cairo", "Asia/Beirut", "America/New_York", "Antarctica/Troll",
         "Australia/Lord_Howe", "Africa/Casablanca", "America/Havana"]  # fmt: skip


@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    weekday=st.sampled_from(["*", "0", "5", "6"]),
    zone=st.sampled_from(ZONES),
)
def test_every_day_has_its_slot_or_is_told_of(
    hour: int, minute: int, weekday: str, zone: str
) -> None:
    """Of a schedule of once a day: each matching date has one slot, apart from those told of."""
    schedule, where = parse(f"{minute} {hour} * * {weekday}"), load_zone(zone)
    window = slots_between(schedule, where, NOW, NOW + AHEAD, 1_000)
    seen: dict[datetime, int] = {}
    for slot in window.slots:
        local = slot.astimezone(where).replace(tzinfo=None)
        seen[local] = seen.get(local, 0) + 1
    changes = {change.local: change for change in clock_changes(schedule, where, NOW)}
    day = NOW.astimezone(where).date() + timedelta(days=1)
    while day < (NOW + AHEAD).date() - timedelta(days=1):
        local = datetime.combine(day, time(hour, minute))
        if weekday in ("*", str(day.isoweekday() % 7)):
            change = changes.get(local)
            expected = 1
            if change is not None:
                expected = {ClockEffect.SKIPPED: 0, ClockEffect.TWICE: 2}.get(change.effect, 1)
            assert seen.get(local, 0) == expected, (local, change)
        day += timedelta(days=1)


def test_ready_tells_and_does_not_change_within_a_day() -> None:
    plan = make_plan("30 2 * * *")
    messages = {
        update_at(NOW + timedelta(hours=hour), plan=plan).status.conditions[0].message
        for hour in range(24)
    }
    (message,) = messages
    assert message.endswith(f"is up to date; change of the clocks: {GAP}; {DOUBLE}")


def test_the_next_slots_have_the_note_where_the_clock_changes() -> None:
    zone = load_zone("Europe/Madrid")
    found = upcoming(parse("30 2 * * *"), zone, datetime(2027, 3, 26, tzinfo=UTC), 4)
    assert [f"{slot.local:%d %H:%M %Z}" for slot in found] == [
        "26 02:30 CET", "27 02:30 CET", "29 02:30 CEST", "30 02:30 CEST"
    ]  # fmt: skip
    assert [slot.note for slot in found] == ["", "", GAP, ""]
    twice = upcoming(parse("30 2 * * *"), zone, datetime(2027, 10, 30, 12, tzinfo=UTC), 3)
    assert [slot.note for slot in twice] == [DOUBLE, DOUBLE, ""]
    assert upcoming(parse("0 0 31 2 *"), zone, NOW, 4) == []


def test_every_goes_on_from_the_slot_that_the_operator_names() -> None:
    body = schedule_body({"schedule": "@every 90s"})
    following = NOW + timedelta(seconds=7)
    body["status"] = {"nextScheduleTime": following.isoformat()}
    schedule = read_schedule(body)
    beat = timedelta(seconds=90)
    for now, first in ((NOW, following), (following, following + beat), (
        NOW + 10 * beat, following + 10 * beat
    )):  # fmt: skip
        assert [slot.slot for slot in slots_of(schedule, 2, now).slots] == [first, first + beat]


def test_a_schedule_that_gets_no_run_says_so() -> None:
    suspended = read_schedule(schedule_body({"suspend": True}))
    assert "spec.suspend is true" in (slots_of(suspended, 1, NOW).note or "")
    assert "not Ready" in (slots_of(read_schedule(schedule_body()), 1, NOW).note or "")
    for wrong in ({"schedule": "0 6"}, {"schedule": "@every 5s"}, {"timeZone": "Mars/Olympus"}):
        with pytest.raises(RefusedError):
            slots_of(read_schedule(schedule_body(wrong)), 1, NOW)


def test_next_slots_are_those_of_the_control_planes_data() -> None:
    """Casablanca: +01:00 until 2026b, +00:00 since then; a slot at 05:00Z is of the older data."""
    spec = {"schedule": "0 6 * * *", "timeZone": "Africa/Casablanca"}
    made = datetime(2026, 11, 24, 5, tzinfo=UTC)
    body = schedule_body(spec)
    body["status"] = {
        "lastScheduleTime": made.isoformat(),
        "scheduleSince": (made - timedelta(days=1)).isoformat(),
    }
    found = slots_of(read_schedule(body), 1, NOW)
    assert [slot.slot for slot in found.slots] == [datetime(2026, 11, 25, 5, tzinfo=UTC)]
    assert "2026b or older" in (found.note or "")
    body["status"]["scheduleSince"] = NOW.isoformat()  # edited since: that slot says nothing
    found = slots_of(read_schedule(body), 1, NOW)
    assert [slot.slot for slot in found.slots] == [datetime(2026, 11, 25, 6, tzinfo=UTC)]
    assert "2026b" not in (found.note or "")


def test_which_schedule_is_meant() -> None:
    one, other = (read_schedule(schedule_body(namespace=name)) for name in ("a", "b"))
    assert find_schedule([one, other], "daily", "b") is other
    with pytest.raises(RefusedError, match=r"several namespaces have a daily: say which \(a, b\)"):
        find_schedule([one, other], "daily", None)
    with pytest.raises(RefusedError, match="there is no ReportSchedule daily in the namespace c"):
        find_schedule([one, other], "daily", "c")


def test_the_endpoint() -> None:
    site = Site(KnownCluster())
    path = "/api/admin/scheduler/next-slots"
    reply = site.get(f"{path}?schedule=daily&count=2", accept="*/*")
    assert reply.status == 200
    assert '"local":"Wed 2026-11-25 06:00:00 CET"' in reply.text
    assert site.get(f"{path}?schedule=nothing").status == 404
    assert site.get(f"{path}?schedule=daily&count=101").status == 422
