"""Who is next: priority, then slot, under limits."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from factories import MINUTE, PATIENT, SLOT, active_run, finished_run, make_pod, make_run
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain.admission.limits import PRIORITIES, AdmissionLimits, NamespacePolicy
from report_operator.domain.admission.queue import Queue, does_not_start, make_queue
from report_operator.domain.admission.waiting import Hold
from report_operator.domain.runs.run import Run

MANY = AdmissionLimits(overall=100)


def waiting(name: str, **changes: object) -> Run:
    """A waiting run of a schedule of its own."""
    return make_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def working(name: str, **changes: object) -> Run:
    return active_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def queue_order(runs: Iterable[Run], limits: AdmissionLimits = MANY) -> list[Run]:
    return [entry.run for entry in make_queue(runs, limits).waiting]


def admissible(runs: Iterable[Run], limits: AdmissionLimits) -> list[Run]:
    return make_queue(runs, limits).admissible


def admitted(runs: list[Run], limits: AdmissionLimits = MANY) -> list[str]:
    return [run.name for run in admissible(runs, limits)]


def test_order_is_priority_then_slot_then_age_then_name() -> None:
    ordered = [
        waiting("z", priority="high", slot=SLOT + MINUTE),
        waiting("y", slot=SLOT - MINUTE),
        waiting("x", priority="unheard of", slot=SLOT),
        waiting("w", slot=SLOT, created_at=SLOT + MINUTE),
        waiting("a", slot=SLOT + MINUTE),
        waiting("b", slot=SLOT + MINUTE),
        waiting("low", priority="low", slot=SLOT - 9 * MINUTE),
    ]
    assert queue_order(reversed(ordered)) == ordered
    assert admitted(ordered[::-1]) == [run.name for run in ordered]


def test_run_that_somebody_asked_for_counts_from_then() -> None:
    """An older date goes before no slot that is due."""
    old = {"slot": SLOT - timedelta(days=400), "manual": True}
    ordered = [
        waiting("due", slot=SLOT),
        waiting("again", slot=SLOT - MINUTE, created_at=SLOT + MINUTE, manual=True),
        waiting("old", created_at=SLOT + 2 * MINUTE, **old),
        waiting("next", slot=SLOT + 3 * MINUTE, created_at=SLOT + 3 * MINUTE),
        waiting("filled", created_at=SLOT, backfill="b", **old),
        waiting("filled later", created_at=SLOT, backfill="b", manual=True, slot=SLOT),
    ]
    assert queue_order(reversed(ordered)) == ordered


def test_only_waiting_runs_queue() -> None:
    others = [active_run(), finished_run(), finished_run(suspended=True), waiting("d", deleting=1)]
    assert queue_order(others) == []


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (AdmissionLimits(overall=1), []),
        (AdmissionLimits(overall=2), ["high"]),
        (AdmissionLimits(overall=3), ["high", "first"]),
        # critical is full already; the others behind it go on
        (AdmissionLimits(overall=9, per_tier={"critical": 1}), ["first", "bulk"]),
        (AdmissionLimits(overall=9, per_tier={"critical": 2}), ["high", "first", "bulk"]),
        (
            AdmissionLimits(overall=9, per_tier={"standard": 0, "bulk": 1}),
            ["high", "second", "bulk"],
        ),
        (AdmissionLimits(overall=2, per_tier={"critical": 1}), ["first"]),
        (MANY, ["high", "first", "second", "bulk"]),
    ],
)
def test_limits(limits: AdmissionLimits, expected: list[str]) -> None:
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
    assert admitted([going, waiting("next")], AdmissionLimits(overall=1)) == []
    assert admitted([going, waiting("next", schedule_uid="same")]) == []


def test_finished_and_queued_runs_take_no_place() -> None:
    runs = [
        finished_run(schedule_uid="same"),
        waiting("going", deleting=True),
        waiting("next", schedule_uid="same"),
    ]
    assert admitted(runs, AdmissionLimits(overall=1)) == ["next"]


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
    AdmissionLimits,
    overall=st.integers(0, 8),
    per_tier=st.dictionaries(st.sampled_from(TIERS), st.integers(0, 4)),
)


@PATIENT
@given(crowds(), some_limits, st.randoms())
def test_admission_keeps_every_limit_and_wastes_none(crowd, limits, random) -> None:
    result = admissible(crowd, limits)
    active = [run for run in crowd if not run.suspended and not run.finished]
    queue = queue_order(crowd, limits)

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
        (AdmissionLimits(overall=4, headroom=2), 0, 2),
        (AdmissionLimits(overall=4, headroom=2), 1, 1),
        (AdmissionLimits(overall=4, headroom=2), 2, 0),
        (AdmissionLimits(overall=4, headroom=9), 0, 1),  # one they may have always
        (AdmissionLimits(overall=1, headroom=9), 0, 1),
        (AdmissionLimits(overall=1, headroom=9), 1, 0),
        (AdmissionLimits(overall=9, per_tier={"critical": 3}, headroom=2), 0, 1),
        (AdmissionLimits(overall=9, per_tier={"critical": 3}, headroom=2), 1, 0),
        (AdmissionLimits(overall=9, per_tier={"critical": 0}, headroom=2), 0, 0),
    ],
)
def test_they_leave_places_to_the_schedules(
    limits: AdmissionLimits, at_work: int, expected: int
) -> None:
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


# -- namespaces -----------------------------------------------------------------------------------

HALF = AdmissionLimits(overall=4, policy=NamespacePolicy(max_active=2))


def of(namespace: str, name: str, **changes: object) -> Run:
    return waiting(f"{namespace}-{name}", namespace=namespace, **changes)


def at_work(namespace: str, name: str, **changes: object) -> Run:
    return working(f"{namespace}-{name}", namespace=namespace, **changes)


def queue_of(runs: list[Run], limits: AdmissionLimits, not_starting: Iterable[Run] = ()) -> Queue:
    return make_queue(runs, limits, {run.uid for run in not_starting})


def test_a_namespace_takes_no_more_than_its_places() -> None:
    runs = [of("a", str(n), slot=SLOT - MINUTE) for n in range(9)] + [of("b", "0")]
    assert admitted(runs, HALF) == ["a-0", "b-0", "a-1"]
    richer = replace(HALF, namespaces={"a": NamespacePolicy(max_active=3)})
    assert admitted(runs, richer) == ["a-0", "b-0", "a-1", "a-2"]


def test_runs_that_cannot_start_leave_their_places_to_other_namespaces() -> None:
    """Twenty-two runs whose pods no node takes held 20 of 20 places."""
    limits = AdmissionLimits(overall=20, policy=NamespacePolicy(max_active=20))
    hanging = [at_work("a", str(n)) for n in range(20)]
    more = [of("a", "x"), of("a", "y")]
    assert admissible([*hanging, *more, of("b", "0")], limits) == []  # they may start still
    queue = queue_of([*hanging, *more, of("b", "0")], limits, hanging)
    assert [run.name for run in queue.admissible] == ["b-0"]
    assert (queue.taken, queue.places, len(queue.not_starting)) == (0, 20, 20)
    assert queue.not_starting_by_namespace == {"a": 20}
    # The namespace itself waits for them: it only blocks itself.
    assert {entry.hold for entry in queue.waiting if entry.run.namespace == "a"} == {Hold.OVERALL}


def test_runs_that_cannot_start_leave_the_places_of_their_tier() -> None:
    limits = AdmissionLimits(overall=9, per_tier={"bulk": 2}, policy=NamespacePolicy(max_active=4))
    hanging = [at_work("a", str(n), tier="bulk") for n in range(2)]
    runs = [*hanging, of("b", "0", tier="bulk")]
    assert admissible(runs, limits) == []
    assert len(queue_of(runs, limits, hanging).admissible) == 1


def test_jobs_that_were_started_without_the_gate_take_only_their_namespaces_places() -> None:
    """Who may create Jobs may create them unsuspended, with our labels."""
    forged = [at_work("a", str(n)) for n in range(50)]
    runs = [*forged, of("a", "x"), *(of("b", str(n)) for n in range(5))]
    assert admitted(runs, HALF) == ["b-0", "b-1"]
    assert len(queue_of(runs, HALF, forged).admissible) == 2


def test_a_job_elsewhere_does_not_keep_a_schedule_busy() -> None:
    forged = at_work("a", "0", schedule_uid="mine")
    assert admitted([forged, of("b", "0", schedule_uid="mine")]) == ["b-0"]


def test_priority_and_tier_count_as_far_as_the_namespace_may_have_them() -> None:
    limits = AdmissionLimits(
        overall=9,
        per_tier={"standard": 1},
        policy=NamespacePolicy(highest_tier="standard", highest_priority="normal"),
        namespaces={"finance": NamespacePolicy()},
    )
    runs = [
        of("a", "early", slot=SLOT - 9 * MINUTE, tier="bulk"),
        of("a", "pushes", priority="high", tier="critical"),
        of("a", "pushes-too", priority="high", tier="gold", slot=SLOT + MINUTE),
        of("finance", "0", priority="high", tier="critical", slot=SLOT + 9 * MINUTE),
        of("a", "modest", priority="low", tier="bulk"),
    ]
    queue = make_queue(runs, limits)
    assert [(entry.run.name, entry.priority, entry.tier) for entry in queue.waiting] == [
        ("finance-0", "high", "critical"),
        ("a-early", "normal", "bulk"),
        ("a-pushes", "normal", "standard"),
        ("a-pushes-too", "normal", "standard"),
        ("a-modest", "low", "bulk"),
    ]
    assert [entry.run.name for entry in queue.waiting if entry.hold] == ["a-pushes-too"]
    assert queue.waiting[0].note is None
    assert queue.waiting[2].note == (
        "priority high is not allowed in a: normal counts; "
        "tier critical is not allowed in a: standard counts"
    )


@pytest.mark.parametrize(
    ("limits", "runs", "hold", "reason"),
    [
        (AdmissionLimits(2), [working("v"), working("w")], Hold.OVERALL, "2 of 2 places are taken"),
        (
            AdmissionLimits(9, {"critical": 1}),
            [working("w")],
            Hold.TIER,
            "1 of 1 places of tier critical are taken",
        ),
        (
            AdmissionLimits(9, policy=NamespacePolicy(1)),
            [working("w")],
            Hold.NAMESPACE,
            "1 of 1 places of namespace reports are taken",
        ),
        (
            MANY,
            [working("w", schedule_uid="x")],
            Hold.SCHEDULE_BUSY,
            "another run of its schedule has not ended (concurrencyPolicy Forbid)",
        ),
        (MANY, [], None, ""),
    ],
)
def test_what_holds_a_run_back(limits, runs, hold, reason) -> None:
    (entry,) = make_queue([*runs, waiting("x")], limits).waiting
    assert (entry.position, entry.hold, entry.reason) == (1, hold, reason)


def test_what_holds_a_run_of_a_backfill_back() -> None:
    limits = AdmissionLimits(overall=4, headroom=2)
    (entry,) = make_queue([working("v"), working("w"), of_backfill("x")], limits).waiting
    assert (entry.hold, entry.reason) == (
        Hold.BACKFILL_HEADROOM,
        "2 of 2 places for runs of backfills are taken, the others are the schedules'",
    )


def test_a_refused_run_gives_its_place_to_the_next() -> None:
    runs = [waiting("x"), waiting("y", slot=SLOT + MINUTE)]
    queue = make_queue(runs, AdmissionLimits(overall=1), refused={"x"})
    assert [(entry.run.name, entry.hold) for entry in queue.waiting] == [
        ("x", Hold.REFUSED),
        ("y", None),
    ]


@pytest.mark.parametrize(
    ("run", "pod", "stuck"),
    [
        (active_run(), make_pod(phase="Pending", started_at=None, finished_at=None), True),
        (active_run(), None, True),  # the admin API follows no pods
        (active_run(ready_pods=1), None, False),
        (active_run(), make_pod(phase="Running", finished_at=None), False),
        (active_run(), make_pod(), False),  # ended: the Job's status will say so
        (active_run(admitted_at=SLOT + 9 * MINUTE), None, True),  # the future: somebody wrote that
        (active_run(admitted_at=SLOT + MINUTE), None, False),
        (active_run(deleting=True), None, False),
        (make_run(), None, False),
        (finished_run(), None, False),
        # between two attempts; and one whose second pod does not start
        (active_run(failed_pods=1), make_pod(), False),
        (active_run(failed_pods=1), None, False),
        (
            active_run(failed_pods=1),
            make_pod(phase="Pending", started_at=None, finished_at=None),
            True,
        ),
    ],
)
def test_an_admitted_run_that_does_not_start(run, pod, stuck) -> None:
    now = SLOT + 1.5 * MINUTE
    assert does_not_start(run, pod, MINUTE, now) == stuck
    assert not does_not_start(run, pod, 10 * MINUTE, now)


@st.composite
def teams(draw: st.DrawFn) -> list[Run]:
    return [
        replace(run, namespace=draw(st.sampled_from("xyz")), schedule_uid=run.uid)
        for run in draw(crowds())
    ]


shares = st.builds(
    replace,
    some_limits,
    policy=st.builds(NamespacePolicy, max_active=st.none() | st.integers(1, 4)),
    namespaces=st.dictionaries(
        st.sampled_from("xyz"), st.builds(NamespacePolicy, max_active=st.none() | st.integers(1, 4))
    ),
)


@PATIENT
@given(teams(), shares, st.randoms())
def test_no_namespace_gets_more_than_its_share_while_another_waits(crowd, limits, random) -> None:
    hanging = {r.uid for r in crowd if not r.suspended and random.random() < 0.5}
    queue = make_queue(crowd, limits, hanging)
    before = [run for run in crowd if not run.suspended and not run.finished]
    held = Counter(run.namespace for run in before)
    working_before = Counter(run.namespace for run in before if run.uid not in hanging)
    new = Counter(run.namespace for run in queue.admissible)

    for namespace, count in new.items():
        assert held[namespace] + count <= limits.places_of(namespace)

    def places(counts: Counter[str]) -> int:
        """Taken: what was started without the gate takes none beyond its namespace's."""
        return sum(min(count, limits.places_of(name)) for name, count in counts.items())

    assert places(working_before + new) <= max(limits.overall, places(working_before))
    tiers = Counter(run.tier for run in queue.admissible)
    for tier, most in limits.per_tier.items():
        already = places(
            Counter(r.namespace for r in before if r.tier == tier and r.uid not in hanging)
        )
        assert tiers[tier] + already <= max(most, already)

    priorities = {run.uid: run.priority for run in queue.admissible}
    for entry in queue.waiting:
        poor = entry.run.namespace
        if entry.hold is not Hold.OVERALL or held[poor] >= limits.places_of(poor):
            continue
        for run in queue.admissible:
            rich = run.namespace
            if rich == poor or limits.of(rich).priority(priorities[run.uid]) != entry.priority:
                continue
            # It had its last place while it held no more than the one that waits holds now.
            first = [r for r in queue.admissible if r.namespace == rich].index(run)
            assert held[rich] + first <= held[poor] + new[poor]

    shuffled = list(crowd)
    random.shuffle(shuffled)
    again = make_queue(shuffled, limits, hanging)
    assert [entry.run.uid for entry in again.waiting] == [e.run.uid for e in queue.waiting]
    assert [entry.position for entry in queue.waiting] == list(range(1, len(queue.waiting) + 1))
    assert len(queue.waiting) == len(queue.by_uid)


def of_kueue(name: str, **changes: object) -> Run:
    return waiting(name, queue_name="reports", **changes)


def test_run_of_kueue_takes_no_place() -> None:
    """Neither while it waits nor while it works: Kueue's quotas count."""
    runs = [
        working("a", queue_name="reports"),
        of_kueue("b", slot=SLOT - MINUTE),
        waiting("c"),
        waiting("d", slot=SLOT + MINUTE),
    ]
    assert admitted(runs, AdmissionLimits(overall=1)) == ["b", "c"]


def test_run_that_was_handed_over_waits_for_kueue_behind_the_others() -> None:
    runs = [of_kueue("a", slot=SLOT - MINUTE, handed_over=True), waiting("b")]
    queue = make_queue(runs, MANY)
    assert [(entry.run.name, entry.hold) for entry in queue.waiting] == [
        ("b", None), ("a", Hold.KUEUE),
    ]  # fmt: skip
    assert "localqueue reports" in queue.waiting[1].reason


@pytest.mark.parametrize("other", [{}, {"handed_over": True}])
def test_schedule_of_kueue_has_one_run_at_a_time(other: dict[str, object]) -> None:
    """Kueue knows nothing of concurrencyPolicy."""
    first = of_kueue("a", schedule_uid="s", **other)
    second = of_kueue("b", schedule_uid="s", slot=SLOT + MINUTE)
    assert "b" not in admitted([first, second])
    allowed = replace(second, concurrency="Allow")
    assert "b" in admitted([first, allowed])


def test_schedule_of_kueue_is_held_like_any_other() -> None:
    run = of_kueue("a")
    assert make_queue([run], MANY, suspended={"a"}).waiting[0].hold is Hold.SUSPENDED
