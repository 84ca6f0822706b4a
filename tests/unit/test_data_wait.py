"""A run that waits for its data: what the operator decides from its pods and its annotation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import (
    MINUTE,
    SLOT,
    active_run,
    finished_run,
    make_observation,
    make_pod,
    make_run,
    make_schedule,
    observed,
    result_text,
    update_at,
)

from report_operator.domain.admission.limits import AdmissionLimits, NamespacePolicy
from report_operator.domain.admission.queue import make_queue
from report_operator.domain.runs.data_wait import (
    DataWait,
    backoff,
    enqueue_patch,
    is_check,
    next_wait,
    parse_wait,
    wait_patch,
    without_checks,
)
from report_operator.domain.runs.deadlines import StartLimits, exceeded_deadline
from report_operator.domain.runs.outcomes import HistoryLimits, record, record_finished
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import NotARunError, Run, Stage
from report_operator.domain.schedules.decision import ScheduleLimits, decide
from report_operator.domain.schedules.validation import SpecObservation, check_spec
from report_runner.contract.reasons import EXIT_NOT_READY_YET, Reason
from report_runner.contract.result import WaitAnswer
from report_runner.contract.waiting import OnDeadline, WaitFor, until_problem

HOUR = 60 * MINUTE
DEADLINE = SLOT + 2 * HOUR
NONE_YET = "source positions has 0 rows, and `positions | length > 0` is not true"
START = StartLimits(startup=10 * MINUTE, queue=HOUR)
LIMITS = ScheduleLimits(START, HistoryLimits(1, 1, 10))


def found(**changes: Any) -> WaitAnswer:
    values: dict[str, Any] = {
        "answer": NONE_YET,
        "every_seconds": 300,
        "deadline": DEADLINE,
        "on_deadline": OnDeadline.FAIL,
        **changes,
    }
    return WaitAnswer(**values)


def check_pod(name: str = "check-1", finished_at: datetime = SLOT + MINUTE, **changes: Any) -> Pod:
    """A pod that found the data not ready."""
    check = found(**changes)
    return make_pod(
        name=name,
        created_at=finished_at - timedelta(seconds=5),
        finished_at=finished_at,
        exit_code=EXIT_NOT_READY_YET,
        result_text=result_text(Reason.DATA_NOT_READY, check.answer, not_ready=check),
    )


def wait_after(checks: int = 1, ended: datetime = SLOT + MINUTE, **changes: Any) -> DataWait:
    wait: DataWait | None = None
    for number in range(1, checks + 1):
        pod = check_pod(f"check-{number}", ended)
        wait = next_wait(wait, pod, found(**changes), number, SLOT)
    assert wait is not None
    return wait


def waiting_run(wait: DataWait | None = None, **changes: Any) -> Run:
    """Suspended until its next check."""
    return make_run(admitted_at=SLOT, data_wait=wait or wait_after(), **changes)


# -- when it asks again ----------------------------------------------------------------------


def test_next_check_is_every_after_the_last() -> None:
    wait = wait_after()
    assert wait.next_check == SLOT + 6 * MINUTE
    assert (wait.since, wait.checks, wait.pod) == (SLOT + MINUTE, 1, "check-1")


def test_there_is_a_check_at_the_deadline() -> None:
    ended = DEADLINE - 2 * MINUTE
    assert wait_after(ended=ended).next_check == DEADLINE


def test_check_at_the_deadline_waits_for_the_job_controller() -> None:
    """It would make no pod before, and the run would hold a place without one."""
    ended = DEADLINE - timedelta(seconds=3)
    assert wait_after(ended=ended).next_check == ended + timedelta(seconds=12)


@pytest.mark.parametrize(
    ("pods", "seconds"), [(0, 10), (1, 10), (2, 20), (4, 80), (6, 320), (7, 600), (5000, 600)]
)
def test_pause_of_the_job_controller(pods: int, seconds: int) -> None:
    assert backoff(pods) == timedelta(seconds=seconds)


def test_shorter_every_gives_way_to_the_job_controller() -> None:
    wait = wait_after(checks=8, every_seconds=60)
    assert wait.next_check == SLOT + MINUTE + timedelta(seconds=602)


def test_behind_clock_of_a_node_makes_no_busy_loop() -> None:
    """The pod's clock says that the deadline is to come, the kubelet's that it has passed."""
    ended = DEADLINE + timedelta(seconds=1)
    assert wait_after(ended=ended).next_check == ended + timedelta(seconds=300)


def test_wait_counts_from_the_first_check() -> None:
    first = wait_after()
    second = next_wait(
        first, check_pod("check-2", SLOT + 7 * MINUTE), found(), 2, SLOT + 6 * MINUTE
    )
    assert (second.since, second.first_admitted_at) == (SLOT + MINUTE, SLOT)
    assert second.checks == 2


# -- the annotation --------------------------------------------------------------------------


def test_annotation_is_read_as_it_was_written() -> None:
    wait = wait_after()
    patch = wait_patch("7", wait)
    assert patch["spec"] == {"suspend": True}
    assert patch["metadata"]["resourceVersion"] == "7"
    assert parse_wait(patch["metadata"]["annotations"]["reports.adaf.io/data-wait"]) == wait
    due = enqueue_patch("8", wait, wait.next_check)
    assert "spec" not in due
    again = parse_wait(due["metadata"]["annotations"]["reports.adaf.io/data-wait"])
    assert again is not None
    assert again.enqueued_at == wait.next_check
    assert not again.between_checks


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"since": 3}', "x" * 5000, '{"since": "1066-10-14T09:00:00Z"}']
)
def test_edited_annotation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"reports\.adaf\.io/data-wait"):
        parse_wait(text)
    assert issubclass(NotARunError, ValueError)


def test_run_without_a_wait_has_none() -> None:
    assert parse_wait(None) is None
    assert parse_wait("") is None


# -- between two checks ----------------------------------------------------------------------


def test_waiting_run_is_in_no_queue_and_has_no_place() -> None:
    run = waiting_run()
    assert run.stage is Stage.WAITING_FOR_DATA
    assert (run.waiting, run.between_checks, run.active) == (False, True, False)
    other = make_run(uid="job-2", name="daily-2", slot=SLOT + MINUTE)
    queue = make_queue([run, other], AdmissionLimits(overall=1))
    assert [entry.run.uid for entry in queue.waiting] == ["job-2"]
    assert queue.admissible == [other]


def test_due_check_queues_behind_what_was_due_by_then() -> None:
    wait = wait_after().model_copy(update={"enqueued_at": SLOT + 6 * MINUTE})
    asks = waiting_run(wait)
    assert asks.stage is Stage.QUEUED
    earlier = make_run(uid="b", name="b", schedule_uid="b", slot=SLOT + 5 * MINUTE)
    later = make_run(uid="c", name="c", schedule_uid="c", slot=SLOT + 7 * MINUTE)
    queue = make_queue([later, asks, earlier], AdmissionLimits(overall=1))
    assert [entry.run.uid for entry in queue.waiting] == ["b", "job-1", "c"]


def test_waiting_run_meets_no_deadline_of_the_queue_or_of_starting() -> None:
    run = waiting_run()
    late = observed(run, now=SLOT + 23 * HOUR)
    assert exceeded_deadline(late, START) is None


def test_queue_time_of_a_check_counts_from_when_it_was_due() -> None:
    due = SLOT + 5 * HOUR
    run = waiting_run(wait_after().model_copy(update={"enqueued_at": due}))
    assert exceeded_deadline(observed(run, now=due + 59 * MINUTE), START) is None
    cause = exceeded_deadline(observed(run, now=due + HOUR), START)
    assert cause is not None
    assert cause.reason is Reason.QUEUE_TIMEOUT


def test_run_that_asks_again_has_its_whole_time_to_start() -> None:
    """The pod of its last check ended long ago, and says nothing of the next one."""
    wait = wait_after()
    pods = without_checks([check_pod()], wait)
    assert pods == []
    again = SLOT + 3 * HOUR
    run = active_run(admitted_at=again, data_wait=wait, active_pods=0)
    assert exceeded_deadline(observed(run, pods=pods, now=again + 9 * MINUTE), START) is None
    cause = exceeded_deadline(observed(run, pods=pods, now=again + 10 * MINUTE), START)
    assert cause is not None
    assert cause.reason is Reason.CONTAINER_NOT_STARTED


def test_run_that_was_given_up_on_while_it_waited_is_ended() -> None:
    run = waiting_run(termination_reason="JobDeleted", termination_detail="not wanted")
    cause = exceeded_deadline(observed(run), START)
    assert cause is not None
    assert cause.reason is Reason.JOB_DELETED


# -- a check has ended -----------------------------------------------------------------------


def decided(run: Run, *pods: Pod, now: datetime = SLOT + MINUTE) -> Any:
    shown = without_checks(pods, run.data_wait)
    checks = sum(map(is_check, pods))
    return decide(make_observation(now, runs=[observed(run, pods=shown, checks=checks)]), LIMITS)


def test_run_is_suspended_after_a_check() -> None:
    decision = decided(active_run(active_pods=0), check_pod())
    (item,) = decision.to_suspend
    assert item.wait == wait_after()
    assert not decision.to_fail


def test_the_same_check_suspends_once() -> None:
    run = active_run(admitted_at=SLOT + 6 * MINUTE, data_wait=wait_after(), active_pods=0)
    assert not decided(run, check_pod()).to_suspend
    again = decided(run, check_pod(), check_pod("check-2", SLOT + 7 * MINUTE))
    (item,) = again.to_suspend
    assert item.wait.checks == 2


def test_run_with_a_younger_pod_goes_on() -> None:
    """The Job controller was faster: that pod's answer counts."""
    working = make_pod(
        name="second", created_at=SLOT + 2 * MINUTE, phase="Running", finished_at=None,
        exit_code=None, exit_reason="",
    )  # fmt: skip
    assert not decided(active_run(ready_pods=1), check_pod(), working).to_suspend


@pytest.mark.parametrize(
    "changes",
    [
        {"deleting": True},
        {"termination_reason": "QueueTimeout"},
        {"suspended": True},
    ],
)
def test_run_that_ends_anyhow_is_not_suspended(changes: dict[str, Any]) -> None:
    assert not decided(active_run(active_pods=0, **changes), check_pod()).to_suspend
    assert not decided(finished_run(succeeded=False), check_pod()).to_suspend


def test_run_is_not_suspended_when_the_job_controller_makes_another_pod() -> None:
    """A pod that it has just made would be deleted, and count as a try that failed."""
    run = active_run(active_pods=0)
    late = SLOT + MINUTE + timedelta(seconds=8)
    assert not decided(run, check_pod(), now=late).to_suspend
    assert decided(run, check_pod(), now=late - timedelta(seconds=1)).to_suspend
    # After two checks it waits for 20 s.
    pods = (check_pod("check-0", SLOT), check_pod())
    assert decided(run, *pods, now=late + 9 * timedelta(seconds=1)).to_suspend
    assert not decided(run, *pods, now=late + 10 * timedelta(seconds=1)).to_suspend


def test_check_that_was_deleted_is_no_answer() -> None:
    """The suspension of its Job deleted it: the next pod would be deleted for it."""
    stopped = replace(check_pod("check-2", SLOT + 2 * MINUTE), deleting=True)
    run = active_run(admitted_at=SLOT + 6 * MINUTE, data_wait=wait_after(), active_pods=0)
    assert without_checks([check_pod(), stopped], run.data_wait) == []
    assert not decided(run, check_pod(), stopped).to_suspend


def test_check_without_a_word_ends_the_run() -> None:
    """The Job controller would make pod after pod for ever."""
    pod = make_pod(exit_code=EXIT_NOT_READY_YET, result_text="segfault")
    (item,) = decided(active_run(active_pods=0), pod).to_fail
    assert item.cause.reason is Reason.INTERNAL_ERROR


@pytest.mark.parametrize(
    "deadline", [datetime(9999, 12, 31, tzinfo=UTC), DEADLINE.replace(tzinfo=None)]
)
def test_check_with_an_impossible_deadline_ends_the_run(deadline: datetime) -> None:
    """A pod of a team says what it likes; its schedule is decided on all the same."""
    (item,) = decided(active_run(active_pods=0), check_pod(deadline=deadline)).to_fail
    assert item.cause.reason is Reason.INTERNAL_ERROR


def test_answer_is_one_line() -> None:
    (item,) = decided(active_run(active_pods=0), check_pod(answer="a\n\x0bb\t c")).to_suspend
    assert item.wait.answer == "a b c"


def test_check_long_after_the_deadline_ends_the_run() -> None:
    """A pod whose clock stands still would wait for ever."""
    ended = DEADLINE + HOUR
    decision = decided(active_run(active_pods=0), check_pod(finished_at=ended), now=ended)
    (item,) = decision.to_fail
    assert item.cause.reason is Reason.DATA_NOT_READY
    assert NONE_YET in item.cause.message
    assert not decision.to_suspend


def test_operator_looks_again_when_the_check_is_due() -> None:
    decision = decide(make_observation(SLOT + 2 * MINUTE, runs=[waiting_run()]), LIMITS)
    assert decision.check_after == 4 * MINUTE


# -- what is told ----------------------------------------------------------------------------


def test_status_of_a_late_run_says_what_it_waits_for() -> None:
    status = update_at(SLOT + 31 * MINUTE, runs=[waiting_run()]).status
    assert status.delay is not None
    assert status.delay.stage == "WaitingForData"
    (delayed,) = [c for c in status.conditions if c.type == "Delayed"]
    assert delayed.reason == "WaitingForData"
    assert delayed.message == (
        "slot 2026-11-24T05:00:00Z: Job daily-29924940 waits for its data since "
        f"2026-11-24T05:01:00Z: {NONE_YET}; next check 2026-11-24T05:06:00Z; deadline "
        "2026-11-24T07:00:00Z: it fails then"
    )


def test_status_has_the_answer_before_the_slot_is_late() -> None:
    status = update_at(SLOT + 2 * MINUTE, runs=[waiting_run()]).status
    assert status.delay is None
    assert (status.waiting_for_data, status.queued, status.active) == (1, 0, 0)
    assert status.data_wait is not None
    assert status.data_wait.answer == NONE_YET
    assert status.data_wait.next_check == SLOT + 6 * MINUTE


def test_checks_are_no_tries() -> None:
    wait = wait_after()
    pods = [
        check_pod(),
        make_pod(name="last", created_at=SLOT + 40 * MINUTE, exit_code=69, result_text=""),
    ]
    run = finished_run(succeeded=False, data_wait=wait, admitted_at=SLOT + 40 * MINUTE)
    entry = record_finished(run, without_checks(pods, wait))
    assert entry.reason is Reason.DATABASE_UNAVAILABLE
    assert "tries" not in entry.message


def test_outcome_has_the_time_that_the_run_waited() -> None:
    again = SLOT + 40 * MINUTE
    run = finished_run(data_wait=wait_after(), admitted_at=again, finished_at=again + 5 * MINUTE)
    last = make_pod(
        created_at=again, started_at=again + MINUTE, phase="Succeeded", exit_code=0, result_text=""
    )
    entry = record_finished(run, [last])
    assert (entry.queued_seconds, entry.data_wait_seconds) == (0, 39 * 60)
    assert (entry.pending_seconds, entry.run_seconds) == (60, 4 * 60)


def test_outcome_of_a_run_that_ended_while_it_waited() -> None:
    entry = record(waiting_run(), (), SLOT + HOUR, None)
    assert (entry.pending_seconds, entry.data_wait_seconds) == (None, 59 * 60)


# -- what an author gets to read -------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("position | length > 0", "there is no 'position'; did you mean 'positions'?"),
        ("sources.prices | length > 0", "there is no 'sources.prices'"),
        ("parameters.dsk == 'fx'", "there is no 'parameters.dsk'; did you mean 'parameters.desk'?"),
        ("other | length > 0", "there is no 'other'"),  # a source that is not waited for
    ],
)
def test_name_that_no_run_has_is_told_at_once(until: str, said: str) -> None:
    wait = WaitFor(source="positions", until=until)
    problem = until_problem(wait, ["desk"])
    assert problem is not None
    assert problem.startswith(said)
    assert "knows the one that it waits for" in problem


def test_names_that_a_run_has_are_no_problem() -> None:
    until = "positions | length > 0 and sources.positions.rows[0].d == report_date"
    assert until_problem(WaitFor(source="positions", until=until), []) is None


@pytest.mark.parametrize("field", ["sendIf", "checks"])
def test_an_expression_does_not_know_a_source_that_is_only_waited_for(field: str) -> None:
    condition = "loads | length > 0"
    named = {"sendIf": condition, "checks": [{"name": "some", "expression": condition}]}
    report: dict[str, Any] = {
        "title": "A test",
        "sources": [
            {"name": name, "inline": {"rows": [{"a": 1}]}} for name in ("loads", "positions")
        ],
        "template": {"builtin": "executive_dashboard"},
        "waitFor": {"source": "loads", "until": condition, "excludeSource": True},
    }

    def said() -> str:
        spec = make_schedule({"report": report}).spec
        found = check_spec(SpecObservation("", spec, SLOT, lambda _: True, NamespacePolicy()))
        return found.message if found else ""

    assert said() == ""
    report[field] = named[field]
    assert "there is no 'loads'" in said()
    report["waitFor"] = {"source": "loads", "until": condition}
    assert said() == ""


def test_schedule_with_a_typo_is_not_ready() -> None:
    report = {
        "title": "A test",
        "sources": [{"name": "positions", "inline": {"rows": [{"a": 1}]}}],
        "template": {"builtin": "executive_dashboard"},
        "waitFor": {"source": "positions", "until": "postions | length > 0"},
    }
    spec = make_schedule({"report": report}).spec
    found = check_spec(SpecObservation("", spec, SLOT, lambda _: True, NamespacePolicy()))
    assert found is not None
    assert found.reason == "InvalidSpec"
    assert found.message.startswith("spec.report.waitFor.until: there is no 'postions'; did you")
