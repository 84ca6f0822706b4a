"""Control planes whose time-zone data are not ours."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest

from report_operator.domain.cron.schedule import load_zone, parse
from report_operator.domain.cron.zone_releases import PATH, current_release, earlier_zones
from report_operator.domain.schedules.zone_data import common_slots, controller_zone

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
