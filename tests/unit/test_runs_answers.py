"""The answer to a slot: which failure stands, and which slot has no answer yet."""

from __future__ import annotations

from datetime import timedelta

import pytest
from factories import SLOT, make_entry

from report_operator.domain.runs.answers import standing_failure, unanswered_since
from report_operator.domain.runs.outcomes import RunHistory, merge
from report_runner.contract.reasons import Reason

DAY = timedelta(days=1)
OLD = SLOT - 15 * 365 * DAY
FAILED = make_entry("failed", Reason.TIMEOUT)


def later(uid: str, reason: Reason | None = None, **changes):
    return make_entry(uid, reason, **{"finished_at": SLOT + DAY / 2, **changes})


@pytest.mark.parametrize(
    ("entry", "stands"),
    [
        (later("retry", attempt=2, manual=True), False),
        (later("generated for an older date", manual=True, slot=OLD), True),
        (later("older date by a backfill", backfill="b", slot=OLD), True),
        (later("same slot by a backfill", backfill="b"), False),
        (later("newer date by a backfill", backfill="b", slot=SLOT + DAY), True),
        (later("next slot", slot=SLOT + DAY), False),
        (later("by hand, now", manual=True, slot=SLOT + DAY / 3), False),
        (later("older date fails", Reason.QUEUE_TIMEOUT, manual=True, slot=OLD), True),
        (later("replaced", Reason.REPLACED, slot=SLOT + DAY), True),
    ],
    ids=lambda value: value.uid if hasattr(value, "uid") else None,
)
def test_failure_ends_by_a_report_of_its_slot_or_of_a_newer_one(entry, stands: bool) -> None:
    assert standing_failure([FAILED, entry], None, None) == (FAILED if stands else None)


def test_run_for_an_older_date_makes_no_schedule_fail() -> None:
    """One by hand for 2010 that was purged."""
    purged = later("purged", Reason.QUEUE_TIMEOUT, manual=True, slot=OLD)
    assert standing_failure([purged], SLOT - DAY, None) is None
    assert standing_failure([make_entry("ok"), purged], None, None) is None


def test_newest_attempt_tells_why() -> None:
    again = later("again", Reason.DATABASE_UNAVAILABLE, attempt=2, manual=True)
    assert standing_failure([FAILED, again], None, None) == again


def test_acknowledged_slot_needs_no_report() -> None:
    assert standing_failure([FAILED], None, SLOT) is None
    assert standing_failure([FAILED], None, SLOT - DAY) == FAILED


def test_failure_stays_in_status_however_many_older_dates_come_after_it() -> None:
    older = [
        later(f"older-{n}", manual=True, slot=OLD + n * DAY, finished_at=SLOT + n * DAY)
        for n in range(1, 150)
    ]
    history = RunHistory((FAILED,), {})
    for entry in older:
        history = merge(history, [entry], {entry.uid}, keep=3)
    assert len(history.recent) <= 5
    assert standing_failure(history.recent, None, None) == FAILED


def test_replaced_slot_is_open_until_a_report_of_it_or_of_a_newer_one() -> None:
    replaced = [
        make_entry(f"r{n}", Reason.REPLACED, slot=SLOT + n * DAY, finished_at=SLOT + (n + 1) * DAY)
        for n in range(3)
    ]
    assert unanswered_since(replaced, None) == SLOT
    assert unanswered_since(replaced[1:], SLOT) == SLOT  # its entry is forgotten
    delivered = make_entry("ok", slot=SLOT + 3 * DAY)
    assert unanswered_since([*replaced, delivered], SLOT) is None
    between = make_entry("ok", slot=SLOT + DAY)
    assert unanswered_since([*replaced, between], SLOT) == SLOT + 2 * DAY
    older = make_entry("ok", slot=OLD, manual=True)
    assert unanswered_since([*replaced, older], SLOT) == SLOT


def test_report_that_made_up_for_a_failure_stays_in_status() -> None:
    made_up = later("retry", attempt=2, manual=True)
    history = RunHistory((FAILED, made_up), {})
    for n in range(1, 40):
        older = later(f"o{n}", manual=True, slot=OLD + n * DAY, finished_at=SLOT + n * DAY)
        history = merge(history, [older], {older.uid}, keep=3)
    assert standing_failure(history.recent, None, None) is None
