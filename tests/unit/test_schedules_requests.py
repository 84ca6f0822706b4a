"""Runs that an annotation asks for: each value is answered once, whatever comes between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import (
    LIVE_CRONJOB,
    MINUTE,
    SLOT,
    active_run,
    make_entry,
    make_observation,
    make_run,
    make_schedule,
)

from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import HandledRequest, ReportScheduleStatus
from report_operator.domain.names import ANNOTATION_RETRY_REQUESTED, ANNOTATION_RUN_REQUESTED
from report_operator.domain.schedules.observation import RunRequests
from report_operator.domain.schedules.requests import (
    VALUE_LIMIT,
    RequestDecision,
    decide_requests,
    read_requests,
)
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason

NOW = SLOT + 30 * MINUTE
ASKED = format_time(NOW)
BY = f"{ANNOTATION_RUN_REQUESTED}={ASKED}"


def decide(recent: tuple[Any, ...] = (), **changes: Any) -> RequestDecision:
    created = {"created_at": SLOT - timedelta(days=9), "requests": RunRequests(run=ASKED)}
    return decide_requests(make_observation(NOW, **{**created, **changes}), recent)


def handled(found: HandledRequest | None) -> tuple[str, str | None]:
    assert found is not None
    return found.value, found.job


def test_run_is_made_for_the_days_slot() -> None:
    (item,) = decide().make
    assert (item.attempt.slot, item.attempt.number) == (SLOT, 1)
    assert (str(item.attempt.report_date), item.requested_by) == ("2026-11-24", BY)
    assert item.attempt.priority is Priority.HIGH  # the schedule's own
    assert decide().run is None  # until its Job is there


def test_run_before_the_days_first_slot_is_of_the_day_all_the_same() -> None:
    early = SLOT - timedelta(hours=2)
    (item,) = decide_requests(
        make_observation(early, requests=RunRequests(run=format_time(early))), ()
    ).make
    assert format_time(item.attempt.slot) == "2026-11-23T23:00:00Z"  # midnight in Madrid
    assert str(item.attempt.report_date) == "2026-11-24"


def test_job_that_was_made_for_it_answers_it_also_after_a_crash() -> None:
    for runs, recent in (
        ((active_run(manual=True, requested_by=BY, name="made"),), ()),
        ((), (make_entry(job="made", requested_by=BY),)),
    ):
        found = decide(recent, runs=runs)
        assert not found.make
        assert handled(found.run) == (ASKED, "made")


def test_run_under_way_is_the_answer() -> None:
    found = decide(runs=(active_run(name="daily-1"),))
    assert not found.make
    assert handled(found.run) == (ASKED, "daily-1")


def test_value_that_was_answered_asks_for_nothing() -> None:
    known = HandledRequest(value=ASKED, job="daily-1", message="", at=SLOT)
    found = decide(previous=ReportScheduleStatus(run_request=known))
    assert (found.make, found.run) == ([], known)
    later = decide(
        previous=ReportScheduleStatus(run_request=known),
        requests=RunRequests(run=format_time(NOW + MINUTE)),
        recent=(make_entry("daily-1"),),
    )
    assert [item.attempt.number for item in later.make] == [2]


def test_answer_stays_when_the_annotation_goes() -> None:
    known = HandledRequest(value=ASKED, job="daily-1", message="", at=SLOT)
    found = decide(previous=ReportScheduleStatus(run_request=known), requests=RunRequests())
    assert (found.make, found.run, found.retry) == ([], known, None)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("soon", "no instant"),
        ("2026-11-24T05:30:00", "no instant"),
        (format_time(NOW + timedelta(hours=1)), "future"),
        (format_time(NOW - timedelta(hours=25)), "more than a day old"),
        (format_time(NOW - timedelta(days=10)), "a copy of another"),
        ("x" * 5000, "no instant"),
    ],
)
def test_value_that_asks_for_nothing_is_told_and_never_comes_back(value: str, word: str) -> None:
    """One that lies in the future makes no run later, either."""
    requests = read_requests({"annotations": {ANNOTATION_RUN_REQUESTED: value}})
    assert len(requests.run) <= VALUE_LIMIT
    found = decide(requests=requests)
    assert not found.make
    assert found.run is not None
    assert found.run.job is None
    assert word in found.run.message
    status = ReportScheduleStatus(run_request=found.run)
    observation = make_observation(NOW + timedelta(days=1), requests=requests, previous=status)
    assert decide_requests(observation, ()).make == []


def test_clock_that_is_a_little_fast_is_forgiven() -> None:
    assert decide(requests=RunRequests(run=format_time(NOW + 2 * MINUTE))).make


def test_schedule_without_cronjob_keeps_it_waiting() -> None:
    found = decide(cronjob=None)
    assert (found.make, found.run) == ([], None)


def test_refusal_of_the_api_server_is_told() -> None:
    found = decide(requests=RunRequests(run=ASKED, refused={BY: "ResourceExhausted: quota"}))
    assert not found.make
    assert found.run is not None
    assert "quota" in found.run.message
    assert handled(found.run) == (ASKED, None)


FAILED = make_entry("bad", Reason.DATABASE_UNAVAILABLE)
RETRY = RunRequests(retry="daily-bad")


def test_failed_run_gets_one_further_attempt() -> None:
    (item,) = decide((FAILED,), requests=RETRY).make
    assert (item.attempt.slot, item.attempt.number) == (SLOT, 2)
    assert item.requested_by == f"{ANNOTATION_RETRY_REQUESTED}=daily-bad"
    again = make_run(name="daily-2", attempt=2, manual=True)
    found = decide((FAILED,), requests=RETRY, runs=(again,))
    assert not found.make
    assert handled(found.retry) == ("daily-bad", "daily-2")
    ended = make_entry("daily-2", Reason.TIMEOUT, attempt=2)
    found = decide((FAILED, ended), requests=RETRY)
    assert not found.make
    assert handled(found.retry) == ("daily-bad", ended.job)


def test_retry_has_the_values_of_the_attempt_before() -> None:
    run = make_run(name="daily-bad", finished_at=NOW, parameters='{"floor":"5"}', resend="all")
    (item,) = decide((FAILED,), requests=RETRY, runs=(run,)).make
    assert (dict(item.attempt.parameters), item.attempt.resend) == ({"floor": "5"}, "all")


def test_retry_without_the_values_of_the_attempt_before_makes_nothing() -> None:
    """Only its Job says which they were."""
    failed = make_entry("bad", Reason.DATABASE_UNAVAILABLE, overridden=True)
    found = decide((failed,), requests=RETRY)
    assert not found.make
    assert handled(found.retry) == ("daily-bad", None)
    assert found.retry is not None
    assert "generate" in found.retry.message


@pytest.mark.parametrize(
    ("changes", "declares", "word"),
    [
        ({"overridden": True}, False, "which says with which, is gone"),
        ({"requested_by": "kim"}, True, "is not known: an older version recorded it"),
        ({"requested_by": "kim"}, False, None),
        ({}, True, None),  # the slot's own run
        ({"requested_by": "kim", "overridden": False}, True, None),
    ],
)
def test_retry_never_guesses_the_values_of_a_job_that_is_gone(
    changes: dict[str, Any], declares: bool, word: str | None
) -> None:
    declared = {"declaredParameters": [{"name": "top", "default": "a"}]} if declares else {}
    spec = make_schedule({"report": declared}).spec
    spec = spec.model_copy(update={"delivery": type(spec.delivery)()})  # it mails nobody
    failed = make_entry("bad", Reason.DATABASE_UNAVAILABLE, **changes)
    found = decide((failed,), requests=RETRY, spec=spec)
    if word is None:
        assert len(found.make) == 1
    else:
        assert not found.make
        assert found.retry is not None
        assert word in found.retry.message


@pytest.mark.parametrize(
    ("recent", "runs", "job"),
    [
        ((), (), None),
        ((make_entry("bad"),), (), "daily-bad"),
        ((), (make_run(name="daily-bad"),), "daily-bad"),
    ],
    ids=["unknown", "succeeded", "under way"],
)
def test_retry_of_what_has_not_failed_makes_nothing(recent: Any, runs: Any, job: Any) -> None:
    found = decide(recent, requests=RETRY, runs=runs)
    assert not found.make
    assert handled(found.retry) == ("daily-bad", job)


def test_both_may_be_asked_for_at_once() -> None:
    yesterday = replace_slot(FAILED)
    both = RunRequests(run=ASKED, retry="daily-bad")
    found = decide((yesterday,), requests=both, cronjob=LIVE_CRONJOB)
    assert [item.attempt.number for item in found.make] == [1, 2]


def replace_slot(entry: Any) -> Any:
    return entry.model_copy(update={"slot": SLOT - timedelta(days=1)})
