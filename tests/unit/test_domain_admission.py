"""Who is next: priority, then slot, under limits."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from factories import MINUTE, PATIENT, SLOT, active_run, finished_run, make_run
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain.admission import PRIORITIES, Limits, admissible, queue_order
from report_operator.domain.run import Run

MANY = Limits(overall=100)


def waiting(name: str, **changes: object) -> Run:
    """A waiting run of a schedule of its own."""
    return make_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def working(name: str, **changes: object) -> Run:
    return active_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def admitted(runs: list[Run], limits: Limits = MANY) -> list[str]:
    return [run.name for run in admissible(runs, limits)]


def test_order_is_priority_then_slot_then_age_then_name() -> None:
    ordered = [
        waiting("z", priority="high", slot=SLOT + MINUTE),
        waiting("y", slot=SLOT - MINUTE),
        waiting("x", priority="unheard of", slot=SLOT),
        waiting("w", slot=SLOT, created_at=SLOT + MINUTE),
        waiting("a", slot=SLOT + MINUTE, namespace="a"),
        waiting("b", slot=SLOT + MINUTE, namespace="a"),
        waiting("0", slot=SLOT + MINUTE, namespace="b"),
        waiting("low", priority="low", slot=SLOT - 9 * MINUTE),
    ]
    assert queue_order(reversed(ordered)) == ordered
    assert admitted(ordered[::-1]) == [run.name for run in ordered]


def test_only_waiting_runs_queue() -> None:
    others = [active_run(), finished_run(), finished_run(suspended=True), waiting("d", deleting=1)]
    assert queue_order(others) == []


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(overall=1), []),
        (Limits(overall=2), ["high"]),
        (Limits(overall=3), ["high", "first"]),
        # critical is full already; the others behind it go on
        (Limits(overall=9, per_tier={"critical": 1}), ["first", "bulk"]),
        (Limits(overall=9, per_tier={"critical": 2}), ["high", "first", "bulk"]),
        (Limits(overall=9, per_tier={"standard": 0, "bulk": 1}), ["high", "second", "bulk"]),
        (Limits(overall=2, per_tier={"critical": 1}), ["first"]),
        (MANY, ["high", "first", "second", "bulk"]),
    ],
)
def test_limits(limits: Limits, expected: list[str]) -> None:
    runs = [
        working("at work"),
        waiting("bulk", tier="bulk", priority="low"),
        waiting("second", slot=SLOT + MINUTE),
        waiting("first", tier="standard"),
        waiting("high", priority="high"),
    ]
    assert admitted(runs, limits) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("Forbid", ["other"]), ("Allow", ["mine", "other"]), ("Replace", ["mine", "other"])],
)
def test_concurrency_policy_of_a_busy_schedule(policy: str, expected: list[str]) -> None:
    runs = [
        working("at work", schedule_uid="same"),
        waiting("mine", schedule_uid="same", concurrency=policy),
        waiting("other", slot=SLOT + MINUTE),
    ]
    assert admitted(runs) == expected


def test_forbid_lets_only_the_first_of_several_slots_go() -> None:
    runs = [waiting(str(n), schedule_uid="same", slot=SLOT + n * MINUTE) for n in range(3)]
    assert admitted(runs) == ["0"]


def test_run_that_is_being_deleted_still_counts_while_its_pod_may_work() -> None:
    going = working("going", schedule_uid="same", deleting=True)
    assert admitted([going, waiting("next")], Limits(overall=1)) == []
    assert admitted([going, waiting("next", schedule_uid="same")]) == []


def test_finished_and_queued_runs_take_no_place() -> None:
    runs = [
        finished_run(schedule_uid="same"),
        waiting("going", deleting=True),
        waiting("next", schedule_uid="same"),
    ]
    assert admitted(runs, Limits(overall=1)) == ["next"]


TIERS = ("critical", "standard", "bulk")


@st.composite
def crowds(draw: st.DrawFn) -> list[Run]:
    runs = []
    for number in range(draw(st.integers(0, 14))):
        make = draw(st.sampled_from((make_run, make_run, active_run, finished_run)))
        runs.append(
            make(
                uid=str(number),
                name=str(number),
                schedule_uid=draw(st.sampled_from("abcd")),
                tier=draw(st.sampled_from(TIERS)),
                priority=draw(st.sampled_from((*PRIORITIES, "?"))),
                concurrency=draw(st.sampled_from(("Forbid", "Allow", "Replace"))),
                slot=SLOT + draw(st.integers(0, 3)) * MINUTE,
                deleting=draw(st.integers(0, 5)) == 0,
            )
        )
    return runs


some_limits = st.builds(
    Limits,
    overall=st.integers(0, 8),
    per_tier=st.dictionaries(st.sampled_from(TIERS), st.integers(0, 4)),
)


@PATIENT
@given(crowds(), some_limits, st.randoms())
def test_admission_keeps_every_limit_and_wastes_none(crowd, limits, random) -> None:
    result = admissible(crowd, limits)
    active = [run for run in crowd if not run.suspended and not run.finished]
    queue = queue_order(crowd)

    positions = [queue.index(run) for run in result]
    assert positions == sorted(set(positions))

    def fits(run: Run, others: list[Run]) -> bool:
        tiers = Counter(other.tier for other in others)
        return (
            len(others) < limits.overall
            and tiers[run.tier] < limits.per_tier.get(run.tier, 10**6)
            and not (
                run.concurrency == "Forbid"
                and run.schedule_uid in {other.schedule_uid for other in others}
            )
        )

    before = list(active)
    for run in queue:
        # Exactly those that fit at their turn: nobody is passed over, nobody blocks another.
        assert (run in result) == fits(run, before)
        if run in result:
            before.append(run)

    shuffled = list(crowd)
    random.shuffle(shuffled)
    assert admissible(shuffled, limits) == result


def test_order_of_the_input_does_not_matter() -> None:
    runs = [waiting(name, schedule_uid="same") for name in "abcd"]
    assert {tuple(admitted(list(order))) for order in permutations(runs)} == {("a",)}


# -- runs of backfills --------------------------------------------------------------------------


def of_backfill(name: str, **changes: object) -> Run:
    return waiting(name, **{"backfill": "march", "priority": "low", **changes})


def test_runs_of_backfills_are_behind_all_others() -> None:
    runs = [
        of_backfill("b", priority="high", slot=SLOT - 9 * MINUTE),
        waiting("low", priority="low", slot=SLOT + MINUTE),
        waiting("high", priority="high"),
    ]
    assert [run.name for run in queue_order(runs)] == ["high", "low", "b"]


@pytest.mark.parametrize(
    ("limits", "at_work", "expected"),
    [
        (Limits(overall=4, headroom=2), 0, 2),
        (Limits(overall=4, headroom=2), 1, 1),
        (Limits(overall=4, headroom=2), 2, 0),
        (Limits(overall=4, headroom=9), 0, 1),  # one they may have always
        (Limits(overall=1, headroom=9), 0, 1),
        (Limits(overall=1, headroom=9), 1, 0),
        (Limits(overall=9, per_tier={"critical": 3}, headroom=2), 0, 1),
        (Limits(overall=9, per_tier={"critical": 3}, headroom=2), 1, 0),
        (Limits(overall=9, per_tier={"critical": 0}, headroom=2), 0, 0),
    ],
)
def test_they_leave_places_to_the_schedules(limits: Limits, at_work: int, expected: int) -> None:
    runs = [working(f"w{n}") for n in range(at_work)]
    runs += [of_backfill(f"b{n}") for n in range(9)]
    assert len(admitted(runs, limits)) == expected
    # A scheduled run has all places that there are.
    scheduled = [*runs, *(waiting(f"s{n}") for n in range(9))]
    tier = limits.per_tier.get("critical", limits.overall)
    found = admitted(scheduled, limits)
    assert len([name for name in found if name.startswith("s")]) == (
        min(limits.overall, tier) - at_work
    )
    assert not [name for name in found if name.startswith("b")]


def test_a_run_of_a_backfill_does_not_keep_its_schedule_busy() -> None:
    busy = working("old", schedule_uid="same", backfill="march")
    due = waiting("due", schedule_uid="same")
    assert admitted([busy, due]) == ["due"]
    assert admitted([busy, of_backfill("next", schedule_uid="same")]) == []
    assert (
        admitted([working("now", schedule_uid="same"), of_backfill("b", schedule_uid="same")]) == []
    )
    assert admitted([of_backfill(n, schedule_uid="same") for n in "ab"]) == ["a"]


@PATIENT
@given(crowds(), some_limits, st.integers(1, 4), st.randoms())
def test_backfills_never_change_what_the_schedules_may_start(crowd, limits, headroom, random):
    """Places that a backfill has taken already are taken; what waits of it makes no difference."""
    limits = replace(limits, headroom=headroom)
    marked = [
        replace(run, backfill="march") if run.suspended and random.random() < 0.5 else run
        for run in crowd
    ]
    without = [run for run in marked if not run.backfill]
    own = [run for run in admissible(marked, limits) if not run.backfill]
    assert own == admissible(without, limits)
