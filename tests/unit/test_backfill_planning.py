"""A backfill taken apart: slots by zone and day, their order, and which of them get a run."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from factories import MINUTE, PATIENT, at, make_plan
from hypothesis import given
from hypothesis import strategies as st

from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec, Reprocess
from report_operator.api.v1alpha1.backfill_status import Cursor
from report_operator.domain.backfills import planning
from report_operator.domain.backfills.planning import (
    BackfillTarget,
    Candidate,
    HeldUpError,
    Slot,
    after,
    all_slots,
    choose,
    slots_of_dates,
    spans,
    targets_of,
)
from report_operator.domain.cron.schedule import load_zone, parse
from report_operator.domain.runs.attempts import days_span, slot_of_date
from report_operator.domain.runs.history import PastRun, SlotPast, by_slot
from report_operator.domain.schedules.catch_up import CREATION_GRACE
from report_operator.domain.schedules.plan import Plan
from report_runner.contract.result import Outcome

NOW = at("2026-11-24 12:00")
SINCE = at("2026-11-20 08:00")


def slots(rule: str, zone: str, first: str, last: str = "", until: datetime = NOW) -> list[str]:
    plan = make_plan(rule, zone, since=SINCE)
    days = date.fromisoformat(first), date.fromisoformat(last or first)
    return [f"{slot:%m-%d %H:%M}" for slot in slots_of_dates(plan, *days, until, 100)]


@pytest.mark.parametrize(
    ("rule", "zone", "day", "expected"),
    [
        ("0 6 * * *", "Europe/Madrid", "2026-11-20", ["11-20 05:00"]),
        ("0 6 * * *", "Europe/Madrid", "2026-07-20", ["07-20 04:00"]),
        ("0 6 * * 1-5", "Europe/Madrid", "2026-11-21", []),  # a Saturday
        ("0 0,12 * * *", "Asia/Tokyo", "2026-11-20", ["11-19 15:00", "11-20 03:00"]),
        ("59 23 * * *", "Etc/UTC", "2026-11-20", ["11-20 23:59"]),
        # Clocks go forward: there is no 02:30, and back: 02:30 comes twice and is once a slot.
        ("30 2 * * *", "Europe/Madrid", "2026-03-29", []),
        ("30 2 * * *", "Europe/Madrid", "2026-10-25", ["10-25 00:30", "10-25 01:30"]),
        # There is no midnight: the day begins at one.
        ("0 1 * * *", "Africa/Cairo", "2026-04-24", ["04-23 22:00"]),
        # The last hour of the day comes twice: from 24:00 the clock goes back to 23:00.
        ("30 23 * * *", "America/Santiago", "2026-04-04", ["04-05 02:30", "04-05 03:30"]),
        # A day that this zone left out.
        ("0 6 * * *", "Pacific/Apia", "2011-12-30", []),
    ],
)
def test_slots_of_a_day_in_its_zone(rule: str, zone: str, day: str, expected: list[str]) -> None:
    assert slots(rule, zone, day) == expected


def test_both_ends_are_included_and_nothing_to_come() -> None:
    assert slots("0 6 * * *", "Etc/UTC", "2026-11-20", "2026-11-22") == [
        *("11-20 06:00", "11-21 06:00", "11-22 06:00")
    ]
    assert slots("0 */6 * * *", "Etc/UTC", "2026-11-24", "2026-12-24") == [
        *("11-24 00:00", "11-24 06:00", "11-24 12:00")
    ]
    assert slots("0 6 * * *", "Etc/UTC", "2027-01-01", "2027-02-01") == []


def test_every_keeps_its_beat_also_before_it_began() -> None:
    assert slots("@every 7h", "Etc/UTC", "2026-11-19") == [
        *("11-19 04:00", "11-19 11:00", "11-19 18:00")
    ]
    assert slots("@every 7h", "Etc/UTC", "2026-11-20") == [
        *("11-20 01:00", "11-20 08:00", "11-20 15:00", "11-20 22:00")
    ]
    assert slots("@every 24h", "Etc/UTC", "2026-11-19", "2026-11-21") == [
        *("11-19 08:00", "11-20 08:00", "11-21 08:00")
    ]


ZONES = st.sampled_from(
    ["Etc/UTC", "Europe/Madrid", "America/Santiago", "Africa/Cairo", "Asia/Kolkata",
     "Australia/Lord_Howe", "Pacific/Kiritimati", "America/Havana"]
)  # fmt: skip
RULES = st.sampled_from(
    [
        "0 6 * * *",
        "30 2 * * 1-5",
        "*/20 * * * *",
        "0 0 1 * *",
        "@hourly",
        "@every 7h",
        "59 23 * * *",
    ]
)
DAYS = st.dates(date(2023, 1, 1), date(2026, 10, 1))


@PATIENT
@given(rule=RULES, zone=ZONES, first=DAYS, length=st.integers(0, 9))
def test_every_slot_is_of_one_of_the_days_and_days_add_up(rule, zone, first, length):
    plan = make_plan(rule, zone, since=SINCE)
    last = first + timedelta(days=length)
    found = slots_of_dates(plan, first, last, NOW, 10_000)
    assert all(first <= slot.astimezone(plan.zone).date() <= last for slot in found)
    each = [first + timedelta(days=n) for n in range(length + 1)]
    singly = [slot for day in each for slot in slots_of_dates(plan, day, day, NOW, 10_000)]
    assert list(found) == singly


@PATIENT
@given(zone=ZONES, day=DAYS)
def test_days_follow_each_other_without_gap_or_overlap(zone, day):
    where = load_zone(zone)
    begin, end = days_span(where, day, day)
    assert begin.astimezone(where).date() == end.astimezone(where).date() == day
    after_it, _ = days_span(where, day + timedelta(days=1), day + timedelta(days=1))
    assert after_it - end == timedelta(seconds=1)
    assert timedelta(hours=22) < end - begin < timedelta(hours=26)


def test_the_last_slot_of_a_day_whose_last_hour_comes_twice() -> None:
    zone = load_zone("America/Santiago")
    slot = slot_of_date(parse("30 23 * * *"), zone, date(2026, 4, 4), NOW)
    assert slot == at("2026-04-05 03:30")


# -- the schedules ------------------------------------------------------------------------------


def spec(**changes: Any) -> ReportBackfillSpec:
    values = {"startDate": "2026-11-16", "endDate": "2026-11-20", "everySchedule": True}
    return ReportBackfillSpec.model_validate({**values, **changes})


def candidate(name: str, *, ready: bool = True, **changes: Any) -> Candidate:
    meta = {
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"team": "risk"},
        **changes.pop("metadata", {}),
    }
    cronjob = {
        "metadata": {"annotations": {}, "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"schedule": "0 6 * * *", "timeZone": "Etc/UTC"},
    }
    body = {"metadata": meta, "spec": {"reportType": f"type_{name}", **changes}}
    return Candidate(name, body, cronjob if ready else None)


def chosen(candidates: Iterable[Candidate], **changes: Any) -> list[str]:
    return [t.name for t in targets_of("reports", spec(**changes), candidates, NOW)]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"tiers": ["critical"]}, ["b"]),
        ({"tiers": ["standard"]}, ["a", "c"]),  # the tier of one that names none
        ({"reportTypes": ["type_a", "type_b"]}, ["a", "b"]),
        ({"schedules": ["c", "elsewhere"]}, ["c"]),
        ({"tiers": ["critical"], "schedules": ["a"]}, ["a", "b"]),
        ({"selector": {"matchLabels": {"team": "sales"}}}, ["c"]),
        ({"selector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, list("abc")),
        (
            {"selector": {"matchExpressions": [
                {"key": "team", "operator": "In", "values": ["risk", "ops"]},
                {"key": "draft", "operator": "DoesNotExist"},
            ]}},
            ["b"],
        ),
        (
            {"selector": {"matchExpressions": [
                {"key": "team", "operator": "NotIn", "values": ["risk"]},
            ]}},
            ["c"],
        ),
        ({"everySchedule": True}, list("abc")),
    ],
)  # fmt: skip
def test_each_way_of_selecting_adds_schedules(selection, expected):
    there = [
        candidate("c", metadata={"labels": {"team": "sales"}}),
        candidate("b", tier="critical"),
        candidate("a", metadata={"labels": {"team": "risk", "draft": "yes"}}),
    ]
    assert chosen(there, **{"everySchedule": False, **selection}) == expected


def test_a_schedule_made_later_is_no_part_of_it() -> None:
    late = candidate("late", metadata={"creationTimestamp": "2026-11-24T12:00:01Z"})
    assert chosen([candidate("a"), late]) == ["a"]
    with pytest.raises(HeldUpError) as caught:
        chosen([late])
    assert caught.value.reason == "NoSchedule"


def test_one_without_a_cronjob_holds_it_up_and_is_named() -> None:
    there = [candidate("a"), *(candidate(f"broken-{n}", ready=False) for n in range(7))]
    with pytest.raises(HeldUpError, match="broken-4 and 2 more: see why") as caught:
        chosen(there)
    assert caught.value.reason == "ScheduleNotReady"
    assert chosen(there, everySchedule=False, schedules=["a"]) == ["a"]


# -- the order ----------------------------------------------------------------------------------


def target(name: str, rule: str = "0 6 * * *", zone: str = "Etc/UTC") -> BackfillTarget:
    plan = Plan(parse(rule), load_zone(zone), SINCE, False, 30 * MINUTE)
    return BackfillTarget(name, f"uid-{name}", plan)


def test_oldest_first_and_of_one_instant_by_name() -> None:
    found = all_slots(
        [target("b"), target("a"), target("c", "0 7 * * *", "Europe/Madrid")],
        spec(endDate="2026-11-17"),
        NOW,
    )
    assert [(f"{s.instant:%d %H:%M}", s.schedule) for s in found] == [
        *(("16 06:00", "a"), ("16 06:00", "b"), ("16 06:00", "c")),
        *(("17 06:00", "a"), ("17 06:00", "b"), ("17 06:00", "c")),
    ]


def test_the_report_date_is_the_day_in_the_schedules_zone() -> None:
    found = all_slots([target("a", "0 1 * * *", "Asia/Tokyo")], spec(), NOW)
    assert [slot.report_date.day for slot in found] == [16, 17, 18, 19, 20]
    assert found[0].instant == at("2026-11-15 16:00")


def test_the_newest_slot_is_the_cronjob_controllers_for_a_moment() -> None:
    today = spec(startDate="2026-11-24", endDate="2026-11-24")
    due = at("2026-11-24 06:00")
    assert all_slots([target("a")], today, due + CREATION_GRACE - timedelta(seconds=1)) == ()
    assert len(all_slots([target("a")], today, due + CREATION_GRACE)) == 1


def test_too_many_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SLOT_LIMIT", 10)
    assert len(all_slots([target("a"), target("b")], spec(), NOW)) == 10
    with pytest.raises(HeldUpError, match="more than 10 slots") as caught:
        all_slots([target("a"), target("b"), target("c")], spec(), NOW)
    assert caught.value.reason == "TooManySlots"


def make_slots(count: int) -> list[Slot]:
    first = at("2026-11-02 06:00")
    return [
        Slot(first + timedelta(days=n // 2), "ab"[n % 2], f"uid-{'ab'[n % 2]}", date(2026, 11, 2))
        for n in range(count)
    ]


def test_after_the_cursor() -> None:
    slots = make_slots(6)
    assert after(slots, None) == slots
    for place, slot in enumerate(slots):
        assert after(slots, slot.cursor) == slots[place + 1 :]
    # What the cursor names may be there no longer.
    between = Cursor(slot=slots[2].instant, schedule="a-was-deleted")
    assert after(slots, between) == slots[3:]


# -- the choice ---------------------------------------------------------------------------------

DONE, BAD = Outcome.SUCCEEDED, Outcome.FAILED


def known(*outcomes: Outcome | None) -> SlotPast:
    """A slot whose attempts ended so; None is under way."""
    runs = [PastRun(NOW, number, outcome) for number, outcome in enumerate(outcomes, 1)]
    return by_slot(runs)[NOW]


@pytest.mark.parametrize(
    ("past", "missing", "failed", "everything"),
    [
        (None, 1, None, 1),
        (known(DONE), None, None, 2),
        (known(BAD), 2, 2, 2),
        (known(BAD, BAD), 3, 3, 3),
        (known(BAD, DONE), None, None, 3),
        (known(DONE, BAD), None, None, 3),  # there is a report
        (known(None), None, None, None),
        (known(BAD, None), None, None, None),
        (known(DONE, None), None, None, None),
    ],
)
def test_which_attempt_a_slot_gets(past, missing, failed, everything):
    (slot,) = make_slots(1)
    history = {(slot.schedule_uid, slot.instant): past} if past else {}
    for reprocess, expected in zip(Reprocess, (missing, failed, everything), strict=True):
        choice = choose([slot], history, reprocess, 5)
        assert [run.attempt for run in choice.runs] == ([expected] if expected else [])
        assert (choice.skipped, choice.decided) == (0 if expected else 1, 1)


def test_a_run_has_the_name_of_its_attempt() -> None:
    slot = Slot(at("2026-11-20 05:00"), "daily", "uid", date(2026, 11, 20))
    (run,) = choose([slot], {}, Reprocess.MISSING, 1).runs
    assert run.job == "daily-29919180"  # as the CronJob controller would call it
    assert (run.schedule, run.schedule_uid, run.slot) == ("daily", "uid", slot.instant)


@PATIENT
@given(
    done=st.lists(st.booleans(), max_size=30),
    places=st.integers(0, 8),
    again=st.integers(1, 8),
)
def test_no_slot_is_left_out_or_twice_however_the_work_is_cut(done, places, again):
    slots = make_slots(len(done))
    past = {
        (slot.schedule_uid, slot.instant): known(DONE)
        for slot, is_done in zip(slots, done, strict=True)
        if is_done
    }
    runs, skipped = [], 0
    cursor = None
    room = places
    for _ in range(len(slots) + 1):
        choice = choose(after(slots, cursor), past, Reprocess.MISSING, room)
        assert len(choice.runs) <= room
        runs += choice.runs
        skipped += choice.skipped
        if choice.decided:
            cursor = after(slots, cursor)[choice.decided - 1].cursor
        room = again
    assert after(slots, cursor) == []
    assert [(run.slot, run.schedule) for run in runs] == [
        (slot.instant, slot.schedule)
        for slot, is_done in zip(slots, done, strict=True)
        if not is_done
    ]
    assert skipped == sum(done)


def test_with_no_place_nothing_is_decided() -> None:
    assert choose(make_slots(3), {}, Reprocess.ALL, 0).decided == 0


def test_spans_of_what_has_to_be_asked() -> None:
    slots = make_slots(5)
    assert list(spans(slots)) == [
        ("uid-a", "a", slots[0].instant, slots[4].instant),
        ("uid-b", "b", slots[1].instant, slots[3].instant),
    ]


def test_dates_have_their_bounds() -> None:
    zone = load_zone("Pacific/Kiritimati")
    assert days_span(zone, date(2199, 12, 31), date(2199, 12, 31))[1].tzinfo is UTC
    assert datetime.combine(date(2000, 1, 1), time(), zone).astimezone(UTC).year == 1999
