"""A run that was skipped is neither a delivery nor a failure, wherever outcomes are told apart."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from factories import (
    SLOT,
    at,
    finished_run,
    fresh_status,
    make_entry,
    make_observation,
    make_pod,
    make_schedule,
    result_text,
    schedule_body,
)
from test_runner_retention import reports, run_for

from admin_api.schemas.jobs import JobsQuery, JobStatus
from admin_api.services.attempt_rules import decide_retry
from admin_api.services.job_lists import dead_letters_of, measure, newest_first, recent, select
from admin_api.services.jobs import job_of_record, jobs_of, read_schedule
from admin_api.web.schedule_page import SlotState, strip_of
from report_operator.api.v1alpha1.status import ReportScheduleStatus, ScheduleHealth
from report_operator.domain.runs.answers import standing_failure, unanswered_since
from report_operator.domain.runs.attempts import Attempt
from report_operator.domain.runs.outcomes import RunHistory, merge, record_finished, result_key
from report_operator.domain.runs.record import Owner, record_of
from report_operator.domain.runs.redis_elements import given_up
from report_operator.domain.schedules.desired import may_skip
from report_operator.domain.schedules.status import RunDecisions, compute_status
from report_operator.domain.schedules.transitions import NORMAL, transitions
from report_operator.domain.statistics import Granularity, failures, performance, totals
from report_runner import making, pod_run
from report_runner.contract.reasons import EXIT_CODES, EXIT_OK, Reason
from report_runner.contract.result import Outcome, parse_result
from report_runner.models import RunSkipped
from report_runner.progress import RunProgress

DAY = timedelta(days=1)
SAID = "sendIf is false: no position is over its limit"


def skipped(uid: str = "skip", reason: Reason = Reason.CONDITION_FALSE, **changes):
    return make_entry(uid, reason, **{"outcome": Outcome.SKIPPED, "message": SAID, **changes})


# -- the runner ------------------------------------------------------------------------------------


def _skip() -> None:
    raise RunSkipped(Reason.UNCHANGED, "the rows are those of 2026-11-23")


def test_runner_ends_well_and_says_why_nothing_was_sent() -> None:
    result, code = pod_run.account(RunProgress(), _skip)
    assert (result.outcome, result.reason, code) == (Outcome.SKIPPED, Reason.UNCHANGED, EXIT_OK)
    assert result.message == "the rows are those of 2026-11-23"


@pytest.mark.parametrize(
    ("place", "code"), [("log", EXIT_OK), ("none/log", EXIT_CODES[Reason.INTERNAL_ERROR])]
)
def test_runner_whose_result_is_lost_does_not_pass_for_a_delivery(
    place: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_TERMINATION_LOG", str(tmp_path / place))
    monkeypatch.setattr(pod_run, "make_report", lambda *_: _skip())
    assert pod_run.run_in_pod() == code
    if code == EXIT_OK:
        left = parse_result((tmp_path / place).read_text())
        assert left is not None
        assert left.outcome is Outcome.SKIPPED


def test_old_files_are_pruned_by_a_run_that_is_skipped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a schedule that skips for months would keep all that it ever made."""
    run_for(tmp_path, date(2026, 11, 1), at("2026-11-01 06:00"))
    assert reports(tmp_path / "volume") == ["01"]
    monkeypatch.setattr(making, "fetch_all", lambda *_: _skip())
    with pytest.raises(RunSkipped):
        run_for(tmp_path, date(2026, 11, 24), at("2026-11-24 06:00"))
    assert reports(tmp_path / "volume") == []


# -- the outcome -----------------------------------------------------------------------------------


def ended_well(**changes):
    return make_pod(phase="Succeeded", exit_code=0, exit_reason="Completed", **changes)


def skip_text(reason: Reason | None = Reason.CONDITION_FALSE) -> str:
    return (
        result_text(reason, SAID, rows={"positions": 4})
        .replace("Failed", "Skipped", 1)
        .replace("Succeeded", "Skipped", 1)
    )


def test_outcome_of_a_skipped_run() -> None:
    entry = record_finished(finished_run(), [ended_well(result_text=skip_text())])
    assert (entry.outcome, entry.reason) == (Outcome.SKIPPED, Reason.CONDITION_FALSE)
    assert (entry.message, entry.rows) == (SAID, 4)
    assert result_key(entry) == "Skipped/ConditionFalse"


def test_data_that_are_not_ready_count_as_a_failure_or_as_a_skip_apart() -> None:
    failed = make_entry("a", Reason.DATA_NOT_READY)
    history = merge(RunHistory((), {}), [failed, skipped("b", Reason.DATA_NOT_READY)], (), 10)
    assert history.counts == {"DataNotReady": 1, "Skipped/DataNotReady": 1}


@pytest.mark.parametrize("reason", [None, Reason.TIMEOUT])
def test_result_that_is_skipped_for_no_reason_to_skip_is_a_failure(reason: Reason | None) -> None:
    entry = record_finished(finished_run(), [ended_well(result_text=skip_text(reason))])
    assert (entry.outcome, entry.reason) == (Outcome.FAILED, Reason.INTERNAL_ERROR)


@pytest.mark.parametrize(
    "pods", [(), (ended_well(result_text=""),), (ended_well(result_text="{"),)]
)
def test_run_that_may_skip_and_left_no_result_is_no_delivery(pods) -> None:
    entry = record_finished(finished_run(may_skip=True), pods)
    assert (entry.outcome, entry.reason) == (Outcome.FAILED, Reason.INTERNAL_ERROR)
    assert "retry it" in entry.message
    assert record_finished(finished_run(), pods).outcome is Outcome.SUCCEEDED


def test_result_of_an_earlier_try_is_not_taken_for_that_of_the_last() -> None:
    pods = [
        make_pod(name="first", result_text=result_text(Reason.TIMEOUT, "slow")),
        ended_well(name="second", created_at=SLOT + DAY, result_text=""),
    ]
    assert record_finished(finished_run(may_skip=True), pods).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        ({}, False),
        ({"report": {"sendIf": "rows > 0"}}, True),
        ({"report": {"onlyIfChanged": {}}}, True),
        ({"report": {"waitFor": {"source": "a", "onDeadline": "Skip"}}}, True),
        ({"report": {"waitFor": {"source": "a", "onDeadline": "Fail"}}}, False),
        ({"report": {"sendIf": None}}, False),
    ],
)
def test_run_may_skip_by_these_fields(spec, may: bool) -> None:
    assert may_skip(spec) is may


# -- health ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "stands"),
    [
        (skipped(slot=SLOT + DAY, finished_at=SLOT + DAY), True),
        (skipped(attempt=2, manual=True, finished_at=SLOT + DAY), False),
        (skipped(attempt=2, backfill="b", finished_at=SLOT + DAY), False),
        (skipped(attempt=1, finished_at=SLOT), True),
        (skipped(slot=SLOT - DAY, finished_at=SLOT + DAY, attempt=2, manual=True), True),
    ],
    ids=["of a newer slot", "of a later attempt", "by a backfill", "before it", "of an older slot"],
)
def test_skip_ends_a_failure_of_its_own_slot_alone(entry, stands: bool) -> None:
    failed = make_entry("failed", Reason.TIMEOUT)
    assert standing_failure([failed, entry], None, None) == (failed if stands else None)


def test_older_failure_stands_where_the_newer_one_was_skipped_at_last() -> None:
    older = make_entry("older", Reason.TIMEOUT, slot=SLOT - DAY)
    newer = make_entry("newer", Reason.TIMEOUT)
    skip = skipped(attempt=2, manual=True, finished_at=SLOT + DAY)
    assert standing_failure([older, newer, skip], None, None) == older


def test_skip_that_answered_a_failure_is_kept_as_long_as_the_failure() -> None:
    failed = make_entry("failed", Reason.TIMEOUT)
    skip = skipped(attempt=2, manual=True, finished_at=SLOT + DAY)
    older = [
        make_entry(f"old-{n}", manual=True, slot=SLOT - n * DAY, finished_at=SLOT + DAY + n * DAY)
        for n in range(1, 30)
    ]
    kept = merge(RunHistory((failed, skip), {}), older, (), 3).recent
    assert standing_failure(kept, None, None) is None


def test_skip_answers_a_replaced_slot_only_where_it_is_its_own() -> None:
    replaced = make_entry("replaced", Reason.REPLACED)
    newer = skipped(slot=SLOT + DAY, finished_at=SLOT + DAY)
    assert unanswered_since([replaced, newer], None) == SLOT
    own = skipped(attempt=2, manual=True, finished_at=SLOT + DAY)
    assert unanswered_since([replaced, own], SLOT) is None


def test_skipped_slot_is_answered_and_healthy() -> None:
    observation = make_observation(SLOT + DAY - timedelta(hours=1))
    update = compute_status(observation, RunDecisions(RunHistory((skipped(),), {})))
    status = update.status
    assert (status.health, status.delay, update.due) == (ScheduleHealth.HEALTHY, None, None)
    assert (status.last_outcome, status.last_success_time) == (Outcome.SKIPPED, None)
    failing = next(c for c in status.conditions if c.type == "Failing")
    assert (failing.status, failing.reason) == ("False", "LastRunSkipped")
    assert SAID in failing.message
    assert status.consecutive_failures == 0


def test_skip_of_a_newer_slot_leaves_the_number_of_failures() -> None:
    failed = make_entry("failed", Reason.TIMEOUT)
    newer = skipped(slot=SLOT + DAY, finished_at=SLOT + DAY)
    observation = make_observation(SLOT + DAY + timedelta(hours=1))
    status = compute_status(observation, RunDecisions(RunHistory((failed, newer), {}))).status
    assert (status.health, status.consecutive_failures) == (ScheduleHealth.FAILING, 1)


def test_event_of_a_skip_is_normal() -> None:
    (event,) = transitions(fresh_status(), ReportScheduleStatus(recent_runs=[skipped()]))
    assert (event.kind, event.reason) == (NORMAL, "RunSkipped")
    assert f"ConditionFalse: {SAID}" in event.message


def test_skipped_run_is_no_dead_letter() -> None:
    failed = make_entry("failed", Reason.TIMEOUT)
    assert given_up("reports", "daily", "positions", [skipped()], ()) == []
    later = skipped(attempt=2, finished_at=SLOT + DAY)
    assert given_up("reports", "daily", "positions", [failed, later], ()) == []


# -- the admin API ---------------------------------------------------------------------------------


def schedule_of(*entries, **status):
    body = schedule_body({"reportType": "positions"}, name="daily")
    status = {"scheduleSince": "2026-11-20T00:00:00Z", **status}
    wire = ReportScheduleStatus(recent_runs=list(entries)).to_wire()
    return read_schedule({**body, "status": wire | status})


def test_api_shows_it_as_skipped_with_its_reason_and_message() -> None:
    (job,) = jobs_of(schedule_of(skipped()), ())
    assert (job.status, job.reason) == (JobStatus.SKIPPED, Reason.CONDITION_FALSE)
    assert (job.skip_message, job.error_message, job.failed_at) == (SAID, None, None)
    assert dead_letters_of([job]) == []


def test_history_shows_the_same() -> None:
    owner = Owner("reports", "daily", "uid", "positions", "standard")
    record = record_of(owner, skipped(), None, ())
    assert record.error_pattern is None
    job = job_of_record(record)
    assert (job.status, job.skip_message) == (JobStatus.SKIPPED, SAID)


def test_list_is_filtered_by_it() -> None:
    jobs = newest_first(jobs_of(schedule_of(skipped(), make_entry("well")), ()))
    for status in (JobStatus.SKIPPED, JobStatus.SUCCEEDED):
        page = select(jobs, JobsQuery(status=status))
        assert [job.status for job in page.jobs] == [status]


def test_success_rate_is_that_of_the_runs_that_were_to_send() -> None:
    entries = (skipped(), make_entry("well", run_seconds=4), make_entry("bad", Reason.TIMEOUT))
    jobs = jobs_of(schedule_of(*entries), ())
    found = measure(totals(recent(jobs, SLOT)), jobs, 0, [])
    assert (found.finished, found.skipped, found.success_rate_percent) == (3, 1, 50.0)
    only = jobs_of(schedule_of(skipped()), ())
    assert measure(totals(recent(only, SLOT)), only, 0, []).success_rate_percent is None


def test_statistics_of_failures_and_times_leave_it_out() -> None:
    jobs = jobs_of(schedule_of(skipped(run_seconds=1), make_entry("bad", Reason.TIMEOUT)), ())
    runs = recent(jobs, SLOT)
    assert [(hour.runs, hour.failures) for hour in failures(runs).hours] == [(1, 1)]
    assert performance(runs, Granularity.DAY).trend == []


def test_run_that_may_skip_is_no_success_before_status_says_so() -> None:
    run = finished_run("job-9", may_skip=True)
    (job,) = jobs_of(schedule_of(), [run])
    assert (job.status, job.finished_at) == (JobStatus.RUNNING, None)


def test_skipped_run_may_be_tried_again_by_a_person() -> None:
    (job,) = jobs_of(schedule_of(skipped()), ())
    decided = decide_retry(job, [job])
    assert isinstance(decided, Attempt)
    assert decided.number == 2


def test_strip_shows_a_skipped_slot() -> None:
    schedule = schedule_of(skipped(), lastScheduleTime="2026-11-24T05:00:00Z")
    strip = strip_of(schedule, jobs_of(schedule, ()), SLOT + DAY / 2)
    assert [slot.state for slot in strip if slot.slot == SLOT] == [SlotState.SKIPPED]


def test_definition_of_todays_fields_has_no_mark() -> None:
    assert not may_skip(make_schedule().spec.to_wire())
