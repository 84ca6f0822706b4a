"""A status of a later version is read as far as it goes: a rollback forgets nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_entry
from pydantic import ValidationError

from report_operator.api.v1alpha1.backfill import parse_backfill_status
from report_operator.api.v1alpha1.resource import parse_status

CONDITION = {
    "status": "True", "reason": "Ready", "message": "",
    "lastTransitionTime": "2026-11-26T00:00:00Z",
}  # fmt: skip
COMING = {**CONDITION, "type": "Levitating"}
READY = {**CONDITION, "type": "Ready"}


def test_what_a_later_version_wrote_costs_nothing_else() -> None:
    first, second = make_entry("first").to_wire(), make_entry("second").to_wire()
    status = {
        "conditions": [READY, COMING],
        "recentRuns": [first, {**first, "uid": "u", "outcome": "Postponed"}, second],
        "delay": {"stage": "Levitating"},
        "consecutiveFailures": 2,
        "runCounts": {"Succeeded": 7},
    }
    found = parse_status({"status": status})
    assert [condition.type for condition in found.conditions] == ["Ready"]
    assert [run.job for run in found.recent_runs] == ["daily-first", "daily-second"]
    assert (found.delay, found.consecutive_failures) == (None, 2)
    assert found.run_counts == {"Succeeded": 7}


@pytest.mark.parametrize(
    "status", ["text", ["a"], {"recentRuns": "many"}, {"recentRuns": {"a": 1}}]
)
def test_what_is_no_status_at_all_is_begun_anew(status: Any) -> None:
    assert parse_status({"status": status}).recent_runs == []


def test_of_a_backfill_only_what_is_told_may_be_unreadable() -> None:
    status = {"conditions": [COMING, READY], "done": 3, "total": 9}
    found = parse_backfill_status({"status": status})
    assert ([c.type for c in found.conditions], found.done) == (["Ready"], 3)
    with pytest.raises(ValidationError):
        parse_backfill_status({"status": {"done": 3, "inFlight": [{"job": "a"}]}})
