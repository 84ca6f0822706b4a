"""View models of the first page and of one run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from factories import MINUTE, SLOT, active_run, finished_run, make_run, schedule_body
from snapshots import snapshot_of
from test_data_wait import waiting_run

from admin_api.services.cluster import Leader
from admin_api.services.jobs import ScheduleSummary, jobs_of, read_schedule
from admin_api.web import view
from admin_api.web.problems import ProblemKind, ScheduleProblem
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import make_queue
from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time

TIME = format_time(SLOT)
FAILURE = {
    "time": TIME,
    "reason": "DatabaseUnavailable",
    "message": "connection refused",
    "job": "daily-1",
    "slot": TIME,
}
DELAY = {"since": TIME, "seconds": 1800, "stage": "Queued", "slot": TIME, "job": "daily-2"}
LEADER = Leader(
    holder="a", uid="u", acquired_at=SLOT, renewed_at=SLOT, seconds=15, silent=1.0, stopping=False
)


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": TIME,
    }  # fmt: skip


FAILING = {
    "health": "Failing",
    "conditions": [condition("Failing", "True", "DatabaseUnavailable")],
    "lastFailure": FAILURE,
    "consecutiveFailures": 3,
}
LATE = {
    "health": "Delayed",
    "conditions": [condition("Delayed", "True", "Queued", "slot 05:00 waits")],
    "delay": DELAY,
}
NOT_READY = {"conditions": [condition("Ready", "False", "TemplateNotFound", "no such ConfigMap")]}
WELL = {"health": "Healthy", "lastFailure": FAILURE, "consecutiveFailures": 0}


def schedule(name: str, tier: str, status: dict[str, Any], **spec: Any) -> ScheduleSummary:
    body = schedule_body({"tier": tier, **spec}, name=name, uid=f"uid-{name}")
    return read_schedule({**body, "status": status})


def now_of(schedules: list[ScheduleSummary], *runs: Run) -> view.Dashboard:
    queue = make_queue(runs, AdmissionLimits(overall=1))
    starts = {"high": SLOT + MINUTE}
    return view.describe_dashboard(LEADER, snapshot_of(schedules, runs), (), queue, starts, "")


def problems_in(schedules: list[ScheduleSummary], *runs: Run) -> list[ScheduleProblem]:
    return [member for group in now_of(schedules, *runs).groups for member in group.members]


def test_schedule_with_several_problems() -> None:
    status = {
        **FAILING,
        "conditions": [*FAILING["conditions"], *LATE["conditions"], *NOT_READY["conditions"]],
        "delay": DELAY,
    }
    late = make_run(uid="2", name="daily-2", schedule_uid="uid-daily")
    failed = finished_run("1", succeeded=False, name="daily-1", schedule_uid="uid-daily")
    (entry,) = problems_in([schedule("daily", "critical", status)], late, failed)
    assert [problem.kind for problem in entry.problems] == [
        ProblemKind.FAILING,
        ProblemKind.NOT_READY,
        ProblemKind.LATE,
    ]
    failing, _, delayed = entry.problems
    assert (failing.reason, failing.message, failing.times) == (
        "DatabaseUnavailable",
        "connection refused",
        3,
    )
    assert failing.remedy is not None
    assert "run it again" in failing.remedy.action
    assert delayed.message == "slot 05:00 waits"
    assert entry.run is not None
    assert entry.run.job == "daily-1"  # the failure, not the run that waits


@pytest.mark.parametrize(("status", "job"), [(FAILING, "daily-1"), (LATE, "daily-2")])
def test_problem_links_to_the_run_that_caused_it(status: dict[str, Any], job: str) -> None:
    runs = [
        make_run(uid="2", name="daily-2", schedule_uid="uid-daily"),
        finished_run("1", succeeded=False, name="daily-1", schedule_uid="uid-daily"),
    ]
    (entry,) = problems_in([schedule("daily", "bulk", status)], *runs)
    assert entry.run is not None
    assert entry.run.job == job
    (entry,) = problems_in([schedule("daily", "bulk", status)])
    assert entry.run is None


def test_queue_is_in_order_of_admission_and_active_runs_longest_first() -> None:
    def run(kind: Callable[..., Run], name: str, **changes: Any) -> Run:
        return kind(**{"name": name, "uid": name, "schedule_uid": "uid-daily", **changes})

    found = now_of(
        [schedule("daily", "critical", WELL)],
        run(make_run, "normal", priority="normal"),
        run(make_run, "low", priority="low", slot=SLOT - MINUTE),
        run(make_run, "high", priority="high"),
        run(active_run, "young", admitted_at=SLOT + 5 * MINUTE),
        run(active_run, "old", admitted_at=SLOT + MINUTE),
        run(active_run, "of a schedule that is gone", schedule_uid="other"),
    )
    assert [(queued.job.job, queued.likely_start) for queued in found.queue] == [
        ("high", SLOT + MINUTE),
        ("normal", None),
        ("low", None),
    ]
    assert [active.job.job for active in found.running] == ["old", "young"]
    assert found.summary == (
        "Scheduler healthy. 0 need attention, 2 running, 3 waiting, 0 given up."
    )


def steps(run: Run | None, now: Any, **kept: int) -> list[tuple[str, int, bool]]:
    made = run or finished_run("1", schedule_uid="uid-daily")
    (job,) = jobs_of(schedule("daily", "bulk", WELL), [made])
    job = job.model_copy(update=kept)
    return [(step.name, step.seconds, step.going_on) for step in view.stage_spans(job, run, now)]


def test_stages_of_waiting_and_active_runs() -> None:
    waiting = make_run(schedule_uid="uid-daily", created_at=SLOT)
    assert steps(waiting, SLOT + MINUTE) == [("Queued", 60, True)]
    running = active_run(
        schedule_uid="uid-daily", created_at=SLOT, admitted_at=SLOT + MINUTE, ready_pods=1
    )
    assert steps(running, SLOT + 3 * MINUTE) == [("Queued", 60, False), ("Running", 120, True)]


def test_stages_of_a_finished_run() -> None:
    assert steps(None, SLOT, queued_seconds=60, run_seconds=180) == [
        ("Queued", 60, False), ("Running", 180, False)
    ]  # fmt: skip
    assert steps(None, SLOT) == []


def test_stages_of_a_run_that_waits_for_its_data() -> None:
    waits = waiting_run(schedule_uid="uid-daily")
    assert steps(waits, SLOT + 11 * MINUTE) == [
        ("Queued", 0, False), ("Waiting for data", 600, True),
    ]  # fmt: skip


def test_stages_of_a_run_that_waited_for_its_data() -> None:
    made = finished_run("1", schedule_uid="uid-daily", finished_at=SLOT + 60 * MINUTE)
    (job,) = jobs_of(schedule("daily", "bulk", WELL), [made])
    job = job.model_copy(update={"queued_seconds": 60, "pending_seconds": 60, "run_seconds": 180})
    assert [(step.name, step.seconds) for step in view.stage_spans(job, None, SLOT)] == [
        ("Queued", 60), ("Waiting for data", 55 * 60), ("Starting", 60), ("Running", 180),
    ]  # fmt: skip


def test_job_of_a_run_that_waits_says_for_what() -> None:
    (job,) = jobs_of(schedule("daily", "bulk", WELL), [waiting_run(schedule_uid="uid-daily")])
    assert (job.status, job.reason) == ("waiting_for_data", "DataNotReady")
    assert job.error_message is not None
    assert "source positions has 0 rows" in job.error_message
    assert "next check 2026-11-24T05:06:00Z" in job.error_message


def test_stage_shares_add_up_to_100_percent() -> None:
    (job,) = jobs_of(schedule("daily", "bulk", WELL), [finished_run("1", schedule_uid="uid-daily")])
    ends = {"created_at": SLOT, "finished_at": SLOT + timedelta(seconds=100)}
    job = job.model_copy(
        update={"queued_seconds": 10, "pending_seconds": 30, "run_seconds": 60, **ends}
    )
    found = view.stage_spans(job, None, SLOT + timedelta(hours=1))
    assert [(step.begin, step.share) for step in found] == [(0, 10), (10, 30), (40, 60)]
    ends = {"created_at": SLOT, "finished_at": SLOT}
    job = job.model_copy(
        update={"queued_seconds": 0, "pending_seconds": 0, "run_seconds": 0, **ends}
    )
    assert [step.share for step in view.stage_spans(job, None, SLOT)] == [0, 0, 0]


PENDING = {
    "slot": TIME,
    "job": "daily-29924940",
    "since": TIME,
    "reason": "QuotaExceeded",
    "message": "no pod could be made: exceeded quota: q",
}


def test_a_run_that_does_not_start_is_trouble_before_it_is_late() -> None:
    run = active_run()
    (group,) = now_of([schedule("daily", "bulk", {"pending": PENDING})], run).groups
    (problem,) = group.first.problems
    assert (problem.kind, problem.reason) == (ProblemKind.NOT_STARTING, "QuotaExceeded")
    assert problem.remedy is not None
    assert "describe resourcequota" in problem.remedy.action
    late = {**LATE, "pending": {**PENDING, "job": None}}
    (group,) = now_of([schedule("daily", "bulk", late)]).groups
    (problem,) = group.first.problems
    assert problem.kind is ProblemKind.LATE
    assert problem.remedy is not None
    assert "describe resourcequota" in problem.remedy.action, "the remedy of what blocks it"


def test_the_run_itself_says_what_keeps_it_from_starting() -> None:
    known = schedule("daily", "bulk", {"pending": PENDING})
    pending, running, other = (
        jobs_of(known, [run])[0]
        for run in (active_run(), active_run(ready_pods=1), active_run(name="daily-2"))
    )
    assert (pending.reason, pending.error_message) == ("QuotaExceeded", PENDING["message"])
    assert (running.reason, running.error_message) == (None, None)
    assert (other.reason, other.error_message) == (None, None)
