"""Late is judged by the clock, and what was missed is made up for once."""

from datetime import datetime, timedelta

import pytest
from factories import (
    MINUTE,
    PATIENT,
    SLOT,
    active_run,
    at,
    cronjob_body,
    finished_run,
    make_observation,
    make_plan,
    make_run,
    make_schedule,
)
from hypothesis import given
from hypothesis import strategies as st

from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.catch_up import (
    CATCH_UP_LIMIT,
    CREATION_GRACE,
    slots_to_catch_up,
)
from report_operator.domain.schedules.lateness import (
    NOT_CREATED,
    known_slot,
    late_at,
    next_slot,
    oldest_due,
    slot_without_job,
)
from report_operator.domain.schedules.plan import Plan, observe_plan
from report_operator.domain.times import format_time

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def due(plan: Plan, runs: list[Run], now: datetime, handled: tuple[datetime, ...] = ()):
    """Slot and stage of what is due, or None."""
    found = oldest_due(plan, runs, handled, now)
    return found and (found.slot, found.stage)


YESTERDAY = SLOT - DAY


@pytest.mark.parametrize(
    ("plan", "runs", "handled", "now", "expected"),
    [
        # since: yesterday at five, so yesterday's slot at six counts
        (make_plan(), [], (), YESTERDAY - MINUTE, None),
        (make_plan(), [], (), YESTERDAY, (YESTERDAY, NOT_CREATED)),
        (make_plan(), [], (), SLOT, (YESTERDAY, NOT_CREATED)),
        (make_plan(), [], (YESTERDAY,), SLOT - MINUTE, None),
        (make_plan(), [], (YESTERDAY,), SLOT, (SLOT, NOT_CREATED)),
        # created, edited or unsuspended at the slot or after it: that slot does not count
        (make_plan(since=SLOT), [], (), SLOT + 23 * HOUR, None),
        (make_plan(since=SLOT + MINUTE), [], (), SLOT + 23 * HOUR, None),
        (make_plan(since=SLOT - MINUTE), [], (), SLOT + HOUR, (SLOT, NOT_CREATED)),
        # the stages of a run
        (make_plan(), [make_run()], (), SLOT, (SLOT, "Queued")),
        (make_plan(), [active_run()], (), SLOT, (SLOT, "Pending")),
        (make_plan(), [active_run(ready_pods=1)], (), SLOT, (SLOT, "Running")),
        (make_plan(), [active_run(failed_pods=2)], (), SLOT, (SLOT, "Retrying")),
        (make_plan(), [finished_run()], (), SLOT + HOUR, None),
        (make_plan(), [finished_run(succeeded=False)], (), SLOT + HOUR, None),
        # the oldest unfinished slot, whatever the order
        (
            make_plan(),
            [make_run(uid="b"), active_run(slot=YESTERDAY, ready_pods=1)],
            (),
            SLOT,
            (YESTERDAY, "Running"),
        ),
        # an unfinished run is due although the schedule is suspended meanwhile; a slot is not
        (make_plan(suspended=True), [make_run()], (), SLOT, (SLOT, "Queued")),
        (make_plan(suspended=True), [], (), SLOT + HOUR, None),
        # what was started by hand is never late itself
        (make_plan(since=SLOT), [make_run(manual=True)], (), SLOT + HOUR, None),
        # nor does it hide a slot that was missed, until it has succeeded (it is handled then)
        (
            make_plan(since=SLOT - MINUTE),
            [active_run(manual=True, slot=SLOT + HOUR)],
            (),
            SLOT + 2 * HOUR,
            (SLOT, NOT_CREATED),
        ),
        (make_plan(since=SLOT - MINUTE), [], (SLOT + HOUR,), SLOT + 2 * HOUR, None),
        # a schedule that never fires
        (make_plan("0 0 31 2 *"), [], (), SLOT, None),
    ],
)
def test_due(plan, runs, handled, now, expected) -> None:
    assert due(plan, runs, now, handled) == expected


@pytest.mark.parametrize(("minutes", "late"), [(29, False), (30, True), (31, True)])
def test_border_of_late(minutes: int, late: bool) -> None:
    plan = make_plan(since=SLOT - MINUTE)
    now = SLOT + minutes * MINUTE
    found = oldest_due(plan, [], (), now)
    assert found is not None
    assert (late_at(plan, found) <= now) is late


@pytest.mark.parametrize(
    ("expression", "since", "handled", "now", "expected"),
    [
        # 29 March 2026: 02:00 to 03:00 does not exist in Madrid, so nobody owes that slot
        ("30 2 * * *", "2026-03-28 02:00", None, "2026-03-29 20:00", None),
        ("30 2 * * *", "2026-03-28 02:00", None, "2026-03-30 00:30", "2026-03-30 00:30"),
        # 06:00 is an hour earlier in UTC from that day on
        ("0 6 * * *", "2026-03-28 06:00", None, "2026-03-29 04:00", "2026-03-29 04:00"),
        # 25 October 2026: the hour from 02:00 on is there twice; once handled, 03:00 is next
        ("0 3 * * *", "2026-10-24 12:00", "2026-10-25 02:00", "2026-10-26 01:59", None),
        ("0 3 * * *", "2026-10-24 12:00", None, "2026-10-25 01:59", None),
        ("0 3 * * *", "2026-10-24 12:00", None, "2026-10-25 02:00", "2026-10-25 02:00"),
    ],
)
def test_days_on_which_the_clocks_change(expression, since, handled, now, expected) -> None:
    plan = make_plan(expression, since=at(since))
    found = due(plan, [], at(now), (at(handled),) if handled else ())
    assert found == (expected and (at(expected), NOT_CREATED))


def test_every_counts_from_the_newest_slot() -> None:
    plan = make_plan("@every 90m", since=SLOT)
    assert due(plan, [], SLOT + 89 * MINUTE) is None
    assert due(plan, [], SLOT + 90 * MINUTE) == (SLOT + 90 * MINUTE, NOT_CREATED)
    run = finished_run(slot=SLOT + 100 * MINUTE)
    assert due(plan, [run], SLOT + 189 * MINUTE) is None
    assert next_slot(plan, known_slot(plan, [run], ()), SLOT + 120 * MINUTE) == SLOT + 190 * MINUTE
    assert next_slot(plan, plan.since, SLOT + 300 * MINUTE) == SLOT + 360 * MINUTE


@pytest.mark.parametrize(
    ("now", "expected"), [(SLOT - MINUTE, SLOT), (SLOT, SLOT + DAY), (SLOT + MINUTE, SLOT + DAY)]
)
def test_next_slot_lies_ahead(now: datetime, expected: datetime) -> None:
    plan = make_plan()
    assert next_slot(plan, plan.since, now) == expected
    assert next_slot(make_plan(suspended=True), plan.since, now) is None


def catch_up(plan: Plan, now: datetime, runs=(), through=None, within=2 * HOUR) -> list[datetime]:
    policy = {"policy": "RunAll", "startWithin": f"{within // MINUTE}m"}
    return slots_to_catch_up(
        make_observation(
            now,
            plan=plan,
            runs=runs,
            spec=make_schedule({"missedRuns": policy}).spec,
            previous=ReportScheduleStatus(handled_through=through),
        )
    )


HOURLY = make_plan("0 * * * *", "UTC", since=SLOT - 10 * HOUR)


@pytest.mark.parametrize(
    ("now", "options", "expected"),
    [
        (SLOT + HOUR / 2, {}, [SLOT - HOUR, SLOT]),  # those within startWithin, oldest first
        (SLOT + HOUR / 2, {"through": SLOT - HOUR}, [SLOT]),
        (SLOT + HOUR / 2, {"through": SLOT}, []),
        (SLOT + HOUR / 2, {"runs": [make_run(slot=SLOT - HOUR)]}, [SLOT]),
        (SLOT + CREATION_GRACE - timedelta(seconds=1), {"through": SLOT - HOUR}, []),
        (SLOT + CREATION_GRACE, {"through": SLOT - HOUR}, [SLOT]),
    ],
)
def test_catch_up(now, options, expected) -> None:
    assert catch_up(HOURLY, now, **options) == expected


def test_no_catch_up_before_the_schedule_began_or_while_it_is_suspended() -> None:
    plan = make_plan("0 * * * *", "UTC", since=SLOT - HOUR)
    assert catch_up(plan, SLOT + MINUTE) == [SLOT]
    assert catch_up(plan, SLOT + MINUTE, through=SLOT - 9 * HOUR) == [SLOT]
    assert catch_up(make_plan("0 * * * *", suspended=True), SLOT + MINUTE) == []


@PATIENT
@given(
    st.integers(1, 90),
    st.integers(0, 600),
    st.integers(1, 600),
    st.sets(st.integers(0, 600), max_size=20),
)
def test_rounds_of_catching_up_make_each_slot_once(every, down, within, made) -> None:
    """However long it takes, each slot in the window gets one Job and none gets two."""
    plan = make_plan(f"*/{every}" + " * * * *" if every < 60 else "0 * * * *", "UTC", since=SLOT)
    now = SLOT + down * MINUTE
    floor = max(SLOT, now - within * MINUTE)
    wanted = set()
    slot = plan.schedule.next_after(floor, plan.zone)
    while slot is not None and slot <= now - CREATION_GRACE:
        wanted.add(slot)
        slot = plan.schedule.next_after(slot, plan.zone)
    runs = [make_run(slot=SLOT + n * MINUTE) for n in made]
    through = None
    created: list[datetime] = []
    while fresh := catch_up(plan, now, runs, through, within * MINUTE):
        assert len(fresh) <= CATCH_UP_LIMIT
        assert fresh == sorted(fresh)
        created += fresh
        through = fresh[-1]
    assert len(created) == len(set(created))
    assert set(created) <= wanted - {run.slot for run in runs}
    if through is not None:
        assert {slot for slot in wanted if slot <= through} <= {run.slot for run in runs} | set(
            created
        )


def test_many_missed_slots_of_which_the_oldest_have_jobs() -> None:
    """Jobs that exist already must not use up the bound: the others would never be made."""
    plan = make_plan("* * * * *", "UTC", since=SLOT)
    runs = [make_run(slot=SLOT + n * MINUTE) for n in range(1, CATCH_UP_LIMIT + 1)]
    now = SLOT + (CATCH_UP_LIMIT + 20) * MINUTE
    assert len(catch_up(plan, now, runs, within=24 * HOUR)) == 19


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=100), 7 * MINUTE])
def test_every_keeps_its_beat_when_it_catches_up(late: timedelta) -> None:
    """The CronJob controller counts @every from the last slot; another beat would double runs."""
    plan = make_plan("@every 1h", since=SLOT)
    through = SLOT + 2 * HOUR
    now = SLOT + 9 * HOUR + 30 * MINUTE + late
    assert catch_up(plan, now, through=through) == [SLOT + 8 * HOUR, SLOT + 9 * HOUR]


def test_observed_plan() -> None:
    plan = observe_plan(cronjob_body())
    assert plan == make_plan(since=at("2026-11-20 08:00"), late_after=45 * MINUTE)
    suspended = observe_plan(cronjob_body({"spec": {"suspend": True}}))
    assert suspended is not None
    assert suspended.suspended


def test_plan_of_a_cronjob_without_our_annotations() -> None:
    plan = observe_plan(cronjob_body({"metadata": {"annotations": None}}))
    assert plan == make_plan(since=at("2026-11-01 00:00"), late_after=30 * MINUTE)


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"schedule": "60 * * * *"}},
        {"spec": {"timeZone": "Europe/Atlantis"}},
        {"metadata": {"annotations": {"reports.adaf.io/late-after": "soon"}}},
    ],
)
def test_cronjob_that_somebody_broke_has_no_plan(changes) -> None:
    assert observe_plan(cronjob_body(changes)) is None


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20T08:00:00"])
def test_since_that_somebody_broke_does_not_break_the_schedule(text: str) -> None:
    body = cronjob_body({"metadata": {"annotations": {"reports.adaf.io/schedule-since": text}}})
    plan = observe_plan(body)
    assert plan is None or plan.since == at("2026-11-01 00:00")


@pytest.mark.parametrize(
    ("plan", "handled", "now", "expected"),
    [
        (make_plan(), (YESTERDAY,), SLOT - MINUTE, None),
        (make_plan(), (YESTERDAY,), SLOT, SLOT),
        (make_plan(), (YESTERDAY,), SLOT + HOUR, SLOT),
        (make_plan(), (YESTERDAY,), SLOT + HOUR + MINUTE, None),  # too late to start
        (make_plan(), (SLOT,), SLOT, None),
        (make_plan(), (), SLOT, SLOT),  # the newest one only
        (make_plan(suspended=True), (), SLOT, None),
        (make_plan(since=SLOT), (), SLOT + MINUTE, None),
    ],
)
def test_slot_that_is_due_at_an_edit(plan, handled, now, expected):
    assert slot_without_job(plan, handled, HOUR, now) == expected


@pytest.mark.parametrize(
    ("created", "last", "first"),
    [
        (SLOT, None, SLOT),
        # Made some moments after what is written into it, or before by the server's clock.
        (SLOT + timedelta(seconds=3), None, SLOT + timedelta(seconds=3)),
        (SLOT - timedelta(seconds=3), None, SLOT - timedelta(seconds=3)),
        (SLOT + timedelta(seconds=3), SLOT + timedelta(seconds=903), SLOT + timedelta(seconds=3)),
        # An outage longer than the starting deadline gives it another beat.
        (SLOT, SLOT + timedelta(days=9, seconds=40), SLOT + timedelta(seconds=40)),
        (SLOT, "edited by somebody", SLOT),
    ],
)
def test_every_has_the_beat_of_the_controller(created, last, first) -> None:
    """It counts from the CronJob's creation, then from its last schedule time."""
    body = cronjob_body({"spec": {"schedule": "@every 90s"}})
    body["metadata"]["creationTimestamp"] = format_time(created)
    body["metadata"]["annotations"][names.ANNOTATION_SINCE] = format_time(SLOT)
    if last is not None:
        told = last if isinstance(last, str) else format_time(last)
        body["status"] = {"lastScheduleTime": told}
    plan = observe_plan(body)
    assert plan is not None
    assert plan.since == first
    assert next_slot(plan, plan.since, SLOT) == first + timedelta(seconds=90)
