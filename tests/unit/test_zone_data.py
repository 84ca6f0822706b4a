"""Control planes whose time-zone data are not ours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from report_operator.domain.cron.schedule import load_zone, parse
from report_operator.domain.cron.zone_releases import PATH, current_release, earlier_zones
from report_operator.domain.schedules.lateness import first_slot_after, oldest_due
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.zone_data import (
    common_slots,
    controller_zone,
    learn_zone,
    slot_date,
)

CASABLANCA = load_zone("Africa/Casablanca")
# 06:00 in Casablanca: +01:00 until 2026b, +00:00 since then.
OURS = datetime(2026, 11, 25, 6, tzinfo=UTC)
OLDER = datetime(2026, 11, 25, 5, tzinfo=UTC)


def test_file_is_of_the_installed_release() -> None:
    """Otherwise run `python -m hack.zonedata.make`."""
    first = (files("tzdata") / "zoneinfo" / "tzdata.zi").read_text("ascii").split("\n", 1)[0]
    assert first.split()[2].partition("-")[0] == current_release()
    assert PATH.stat().st_size < 100_000


def test_zone_without_differences_is_ours() -> None:
    madrid = load_zone("Europe/Madrid")
    assert earlier_zones("Europe/Madrid") == ()
    found = controller_zone(parse("0 6 * * *"), madrid, OURS)
    assert (found.possible, found.difference) == ((madrid,), "")


@pytest.mark.parametrize(
    ("newest", "count", "older"),
    [(None, 2, None), (OURS, 1, None), (OLDER, 1, "2026b")],
    ids=["no slot yet", "made by ours", "made by older data"],
)
def test_newest_slot_tells_whose_data_they_are(
    newest: datetime | None, count: int, older: str | None
) -> None:
    found = controller_zone(parse("0 6 * * *"), CASABLANCA, newest)
    assert len(found.possible) == count
    assert (found.older.newest if found.older else None) == older
    assert (f"{older} or older" in found.difference) is (older is not None)


def test_slot_that_no_release_has_says_nothing() -> None:
    """As after an edit of the schedule."""
    found = controller_zone(parse("0 6 * * *"), CASABLANCA, OURS.replace(minute=7))
    assert len(found.possible) == 2
    assert found.difference == ""


def test_hourly_slots_are_the_same_in_both() -> None:
    found = controller_zone(parse("0 * * * *"), CASABLANCA, OURS)
    assert len(found.possible) == 2
    assert common_slots(parse("0 * * * *"), found.possible, [OURS]) == [OURS]
    assert common_slots(parse("0 6 * * *"), found.possible, [OURS, OLDER]) == []


def test_every_counts_in_no_zone() -> None:
    assert controller_zone(parse("@every 1h"), CASABLANCA, None).possible == (CASABLANCA,)


def plan_of(cron: str, zone: ZoneInfo) -> Plan:
    since = OURS - timedelta(days=2)
    return Plan(parse(cron), zone, since, suspended=False, late_after=timedelta(minutes=30))


def test_slot_that_the_control_plane_may_not_have_is_not_late() -> None:
    """At 09:00 in Vancouver: -07:00 with us, -08:00 until 2026a, so an hour later."""
    vancouver = load_zone("America/Vancouver")
    ours, theirs = (datetime(2026, 11, 25, hour, tzinfo=UTC) for hour in (16, 17))
    yesterday = datetime(2026, 11, 24, 18, tzinfo=UTC)
    plan = learn_zone(plan_of("0 9 * * *", vancouver), [])
    assert first_slot_after(plan, yesterday) == theirs
    assert oldest_due(plan, (), [yesterday], ours + timedelta(minutes=59)) is None
    due = oldest_due(plan, (), [yesterday], theirs)
    assert due is not None
    assert due.slot == theirs


def test_slot_that_was_made_earlier_is_not_owed_again() -> None:
    plan = learn_zone(plan_of("0 6 * * *", CASABLANCA), [OLDER])
    assert plan.other_zones == ()
    assert "2026b or older" in plan.zone_difference
    assert oldest_due(plan, (), [OLDER], OURS + timedelta(hours=20)) is None


def test_slots_before_an_edit_tell_nothing() -> None:
    plan = plan_of("0 6 * * *", CASABLANCA)
    assert learn_zone(plan, [OLDER - timedelta(days=7)]).zone_difference == ""


@pytest.mark.parametrize(
    ("offset", "day"),
    [(timedelta(hours=1), 26), (timedelta(0), 25), (timedelta(hours=9), 25), (None, 25)],
    ids=["as older data", "as ours", "as nobody's", "unknown"],
)
def test_report_date_is_that_of_the_control_plane(offset: timedelta | None, day: int) -> None:
    slot = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
    assert slot_date(slot, CASABLANCA, offset) == date(2026, 11, day)
