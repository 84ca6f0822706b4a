"""The lists for on-call: who waits, and what was given up on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from factories import MINUTE, PATIENT, SLOT, UID, active_run, make_entry, make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import make_queue
from report_operator.domain.runs.redis_elements import (
    LIMIT,
    QUEUE_LIMIT,
    DeadLetter,
    dead_letters,
    given_up,
    queue_elements,
)
from report_runner.contract.reasons import Reason

TYPES = {UID: "executive_dashboard"}


def failed(uid: str = "job-1", attempt: int = 1, **changes: object) -> RecentRun:
    return make_entry(uid, Reason.DATABASE_UNAVAILABLE, attempt=attempt, **changes)


def letters(*recent: RecentRun, under_way: frozenset[tuple[datetime, int]] = frozenset()) -> list:
    found = given_up("reports", "daily", "executive_dashboard", recent, under_way)
    return [json.loads(letter.element) for letter in found]


def test_queue_element_has_the_fields_of_a_waiting_run() -> None:
    run = make_run(priority="high", created_at=SLOT + MINUTE)
    queue = make_queue([run, active_run(uid="other")], AdmissionLimits(overall=1))
    (element,) = queue_elements(queue, TYPES)
    assert json.loads(element) == {
        "id": "reports.daily.20261124T050000Z.1",
        "report_type": "executive_dashboard",
        "priority": "high",
        "scheduled_at": "2026-11-24T05:00:00Z",
        "enqueued_at": "2026-11-24T05:01:00Z",
        "namespace": "reports",
        "schedule": "daily",
        "waits_for": "another run of its schedule has not ended (concurrencyPolicy Forbid)",
    }


@settings(PATIENT)
@given(
    st.lists(
        st.tuples(st.sampled_from(("high", "normal", "low", "?")), st.integers(0, 5)), max_size=20
    )
)
def test_head_of_the_list_is_the_next_run(waiting: list[tuple[str, int]]) -> None:
    runs = [
        make_run(uid=str(n), name=f"daily-{n}", priority=priority, slot=SLOT + slot * MINUTE)
        for n, (priority, slot) in enumerate(waiting)
    ]
    queue = make_queue(runs, AdmissionLimits(overall=1))
    shown = [json.loads(element) for element in queue_elements(queue, TYPES)]
    assert [(element["priority"], element["scheduled_at"]) for element in shown] == [
        (entry.priority, f"{entry.run.slot:%Y-%m-%dT%H:%M:%SZ}") for entry in queue.waiting
    ]


def test_runs_of_a_deleted_schedule_are_left_out() -> None:
    assert queue_elements(make_queue([make_run()], AdmissionLimits(overall=1)), {}) == []


def test_queue_list_is_bounded_and_says_how_many_are_left_out() -> None:
    runs = [
        make_run(uid=str(n), name=f"daily-{n}", slot=SLOT + n * MINUTE)
        for n in range(QUEUE_LIMIT + 5)
    ]
    shown = queue_elements(make_queue(runs[::-1], AdmissionLimits(overall=1)), TYPES)
    assert len(shown) == QUEUE_LIMIT + 1
    assert json.loads(shown[0])["scheduled_at"] == "2026-11-24T05:00:00Z"
    assert json.loads(shown[-1]) == {"left_out": 5, "message": "5 more wait behind these"}
    assert (
        len(queue_elements(make_queue(runs[5:], AdmissionLimits(overall=1)), TYPES)) == QUEUE_LIMIT
    )


def test_dead_letter_element_has_the_fields_of_the_failed_run() -> None:
    assert letters(failed(message="no route")) == [
        {
            "id": "reports.daily.20261124T050000Z.1",
            "report_type": "executive_dashboard",
            "reason": "DatabaseUnavailable",
            "message": "no route",
            "attempts": 1,
            "failed_at": "2026-11-24T05:05:00Z",
            "scheduled_at": "2026-11-24T05:00:00Z",
            "namespace": "reports",
            "schedule": "daily",
        }
    ]


def test_long_messages_are_cut() -> None:
    (letter,) = letters(failed(message="x" * 1000))
    assert letter["message"] == "x" * 297 + "..."


LATER = SLOT + 9 * MINUTE


@pytest.mark.parametrize(
    ("recent", "under_way", "attempts"),
    [
        ([make_entry()], [], []),
        ([failed()], [], [1]),
        ([failed(), failed("job-2", 2, finished_at=LATER)], [], [2]),
        ([failed("job-2", 2, finished_at=LATER), failed()], [], [2]),
        ([failed(), make_entry("job-2", attempt=2, finished_at=LATER)], [], []),
        ([make_entry(), failed("job-2", 2, finished_at=LATER)], [], [2]),
        ([failed()], [(SLOT, 2)], []),
        ([failed()], [(SLOT + MINUTE, 2)], [1]),  # of another slot
        ([failed("job-2", 2)], [(SLOT, 1)], [2]),  # an older one that still runs mends nothing
        ([failed(), make_entry("next", slot=SLOT + timedelta(days=1), finished_at=LATER)], [], [1]),
    ],
    ids=[
        "succeeded", "failed", "retry failed", "told in another order", "retry succeeded",
        "made again, and failed", "retry under way", "another slot under way",
        "older attempt under way", "next slot succeeded",
    ],
)  # fmt: skip
def test_what_is_a_dead_letter(
    recent: list[RecentRun], under_way: list[tuple[datetime, int]], attempts: list[int]
) -> None:
    found = letters(*recent, under_way=frozenset(under_way))
    assert [letter["attempts"] for letter in found] == attempts


def letter(minutes: int, name: str = "a") -> DeadLetter:
    return DeadLetter(SLOT + minutes * MINUTE, name, f"{minutes}")


def test_newest_dead_letter_comes_first() -> None:
    found = dead_letters([letter(1), letter(3), letter(2)], None)
    assert [one.element for one in found] == ["3", "2", "1"]


def test_cleared_dead_letters_stay_away() -> None:
    found = dead_letters([letter(1), letter(2), letter(3)], SLOT + 2 * MINUTE)
    assert [one.element for one in found] == ["3"]


def test_oldest_dead_letters_are_dropped_beyond_the_limit() -> None:
    found = dead_letters([letter(n) for n in range(LIMIT + 5)], None)
    assert len(found) == LIMIT
    assert found[-1].element == "5"
