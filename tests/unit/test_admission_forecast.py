"""When waiting runs are likely to start."""

from datetime import timedelta

import pytest
from factories import MINUTE, SLOT, active_run, make_run

from report_operator.domain.admission.forecast import (
    FORECAST_LIMIT,
    likely_starts,
    typical_duration,
)
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import make_queue
from report_operator.domain.runs.run import Run


def waiting(name: str, **changes: object) -> Run:
    return make_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def working(name: str, **changes: object) -> Run:
    return active_run(**{"name": name, "uid": name, "schedule_uid": name, **changes})


def starts(
    runs: list[Run],
    limits: AdmissionLimits,
    minutes: dict[str, int],
    stuck: frozenset[str] = frozenset(),
) -> dict[str, float]:
    """Minutes after the slot."""
    queue = make_queue(runs, limits, stuck)
    durations = {uid: number * MINUTE for uid, number in minutes.items()}
    found = likely_starts(runs, queue, limits, durations, SLOT + MINUTE)
    return {uid: (at - SLOT) / MINUTE for uid, at in found.items()}


def test_one_place_after_another() -> None:
    runs = [working("a"), waiting("b"), waiting("c", slot=SLOT + MINUTE), waiting("d", slot=SLOT)]
    minutes = {"a": 10, "b": 3, "c": 1, "d": 4}
    assert starts(runs, AdmissionLimits(overall=1), minutes) == {"b": 10, "d": 13, "c": 17}
    assert starts(runs, AdmissionLimits(overall=2), minutes) == {"b": 1, "d": 4, "c": 8}


def test_what_is_over_its_time_ends_any_moment() -> None:
    assert starts([working("a"), waiting("b")], AdmissionLimits(1), {"a": 0}) == {"b": 1}


def test_nobody_can_say() -> None:
    runs = [working("a"), waiting("b"), waiting("c", slot=SLOT + MINUTE)]
    assert (
        starts(runs, AdmissionLimits(1), {"b": 1, "c": 1}) == {}
    )  # how long `a` takes is not known
    assert starts(runs, AdmissionLimits(1), {"a": 5}) == {"b": 5}


def test_a_run_waits_for_its_own_schedule_and_tier() -> None:
    runs = [
        working("a", tier="bulk"),
        working("b"),
        waiting("c", tier="bulk"),
        waiting("d", schedule_uid="b"),
    ]
    limits = AdmissionLimits(9, {"bulk": 1})
    assert starts(runs, limits, {"a": 7, "b": 5}) == {"c": 7, "d": 5}


def test_a_run_that_does_not_start_is_not_waited_for() -> None:
    runs = [working("a"), waiting("b", namespace="other")]
    assert starts(runs, AdmissionLimits(1), {"a": 7}, frozenset({"a"})) == {"b": 1}


def test_only_the_head_of_a_long_queue_is_foreseen() -> None:
    runs = [working("a"), *(waiting(f"w{n:04}", schedule_uid="a") for n in range(5000))]
    found = starts(runs, AdmissionLimits(1), {"a": 1})
    assert set(found) == {f"w{n:04}" for n in range(FORECAST_LIMIT)}


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], None), ([5], 5), ([1, 100, 3], 3), ([2, 4], 3)]
)
def test_typical_duration(seconds: list[int], expected: int | None) -> None:
    found = typical_duration(seconds)
    assert found == (None if expected is None else timedelta(seconds=expected))
