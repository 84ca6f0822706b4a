"""Why a schedule's readers have no report, in the words of its status and of the runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from admin_api import runbook
from admin_api.runbook import Remedy
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.schemas.schedules import ProblemKind, ScheduleDetail, ScheduleProblem
from admin_api.services.jobs import DONE, ScheduleSummary
from admin_api.services.schedules import condition_of, describe
from report_operator.api.v1alpha1.status import DelayStage, WaitingRun
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

HIDDEN = "(its message needs a right in the namespace)"
# A further attempt comes to the same while the schedule or the data are as they are.
NOT_BY_RETRY = (Reason.CONFIGURATION_ERROR, Reason.DATA_CHECK_FAILED, Reason.EMPTY_REPORT)
QUOTING = (
    ProblemKind.FAILING, ProblemKind.NOT_READY, ProblemKind.LATE, ProblemKind.NOT_STARTING,
)  # fmt: skip
_LINK = re.compile(r"\[([^]]*)\]\(#[^)]*\)")


def explain(
    schedule: ScheduleSummary, jobs: Sequence[Job], degraded: list[str], *, messages: bool = True
) -> ScheduleDetail:
    """`jobs` are the schedule's; without `messages` texts that may quote its data are left out."""
    problems = list(_problems(schedule, jobs, messages=messages))
    affected = describe_affected(schedule)
    return ScheduleDetail(
        **describe(schedule).model_dump(),
        problems=problems,
        affected=affected,
        failing_slot=run.slot if (run := standing_run(schedule)) is not None else None,
        explanation=" ".join(
            [*(f"Careful: {note}." for note in degraded), _paragraph(schedule, problems, affected)]
        ),
        degraded=degraded,
    )


def standing_run(schedule: ScheduleSummary) -> Job | None:
    """The failed run that no report has made up for, as far as status remembers it."""
    condition = condition_of(schedule, "Failing")
    if condition is None or condition.status != "True":
        return None
    return schedule.ended.get(schedule.standing or "")


def describe_affected(schedule: ScheduleSummary) -> str:
    """Whom the schedule's mails go to, what waits, and since when there was no report."""
    status = schedule.status
    parts = [_count(schedule.recipients, "recipient") if schedule.recipients else
             "nobody by mail (only files)"]  # fmt: skip
    if status.consecutive_failures > 1:
        parts.append(f"{_count(status.consecutive_failures, 'run')} failed in a row")
    if status.queued:
        parts.append(f"{_count(status.queued, 'run')} waiting in the queue")
    if status.waiting_for_data:
        parts.append(f"{_count(status.waiting_for_data, 'run')} waiting for data")
    parts.append(
        f"the last report was made {format_time(status.last_success_time)}"
        if status.last_success_time
        else "no report was ever made"
    )
    return "; ".join(parts)


def _problems(
    schedule: ScheduleSummary, jobs: Sequence[Job], *, messages: bool
) -> Iterator[ScheduleProblem]:
    """The gravest first."""
    for find in (_failing, _not_ready, _late, _not_starting, _missed, _suspended):
        problem = find(schedule, jobs)
        if problem is not None:
            hidden = not messages and problem.kind in QUOTING
            yield problem.model_copy(update={"cause": HIDDEN}) if hidden else problem


def _failing(schedule: ScheduleSummary, jobs: Sequence[Job]) -> ScheduleProblem | None:
    condition = condition_of(schedule, "Failing")
    if condition is None or condition.status != "True":
        return None
    run = standing_run(schedule)
    reason = run.reason if run is not None else None
    remedy = _remedy(schedule, runbook.FAILURES.get(reason) if reason else None,
                     run.job if run else None)  # fmt: skip
    return ScheduleProblem(
        kind=ProblemKind.FAILING,
        reason=condition.reason,
        cause=condition.message,
        since=condition.last_transition_time,
        remedy=remedy,
        command=_after_failure(schedule, run, jobs),
    )


def _after_failure(schedule: ScheduleSummary, run: Job | None, jobs: Sequence[Job]) -> str:
    if run is None:
        return f"report-scheduler jobs --schedule {schedule.name} --status failed"
    under_way = next((j for j in jobs if j.slot == run.slot and j.status not in DONE), None)
    if under_way is not None:
        return f"report-scheduler job {under_way.id}"
    if run.reason in NOT_BY_RETRY:
        return f"report-scheduler job {run.id}"
    return f"report-scheduler retry {run.id}"


def _not_ready(schedule: ScheduleSummary, _: Sequence[Job]) -> ScheduleProblem | None:
    ready = condition_of(schedule, "Ready")
    if ready is None or ready.status == "True":
        return None
    return ScheduleProblem(
        kind=ProblemKind.NOT_READY,
        reason=ready.reason,
        cause=ready.message,
        since=ready.last_transition_time,
        remedy="Mend what the message names and apply the schedule again; the last good definition "
        "stays in use until then, where there is one",
        command=f"kubectl -n {schedule.namespace} describe reportschedule {schedule.name}",
    )


def _late(schedule: ScheduleSummary, jobs: Sequence[Job]) -> ScheduleProblem | None:
    condition, delay = condition_of(schedule, "Delayed"), schedule.status.delay
    if delay is None:
        return None
    run = next((job for job in jobs if delay.job is not None and job.job == delay.job), None)
    if delay.stage is DelayStage.NOT_CREATED:
        name = schedule.status.cron_job or schedule.name
        command = f"kubectl -n {schedule.namespace} describe cronjob {name}"
    elif run is None or run.status is JobStatus.QUEUED:
        command = "report-scheduler queue"
    else:
        command = f"report-scheduler job {run.id}"
    return ScheduleProblem(
        kind=ProblemKind.LATE,
        reason=delay.stage.value,
        cause=condition.message if condition is not None else f"slot {format_time(delay.slot)}",
        since=delay.since,
        remedy=_remedy(schedule, runbook.DELAYS[delay.stage], delay.job),
        command=command,
    )


def _not_starting(schedule: ScheduleSummary, _: Sequence[Job]) -> ScheduleProblem | None:
    """Before its slot is late: then the late slot says it."""
    pending, delay = schedule.status.pending, schedule.status.delay
    if pending is None or (delay is not None and delay.slot == pending.slot):
        return None
    return ScheduleProblem(
        kind=ProblemKind.NOT_STARTING,
        reason=pending.reason.value,
        cause=pending.message,
        since=pending.since,
        remedy=_remedy(schedule, runbook.FAILURES[pending.reason], pending.job),
        command=f"kubectl -n {schedule.namespace} describe pod -l job-name={pending.job}"
        if pending.job
        else f"kubectl -n {schedule.namespace} describe reportschedule {schedule.name}",
    )


def _missed(schedule: ScheduleSummary, _: Sequence[Job]) -> ScheduleProblem | None:
    """Slots without a Job, until there is a report made after them."""
    missed, success = schedule.status.last_missed, schedule.status.last_success_time
    acknowledged = schedule.status.acknowledged_through
    if missed is None or any(done is not None and done > missed.last
                             for done in (success, acknowledged)):  # fmt: skip
        return None
    span = format_time(missed.first)
    if missed.last != missed.first:
        span += f" to {format_time(missed.last)}"
    return ScheduleProblem(
        kind=ProblemKind.MISSED,
        reason="Missed",
        cause=f"{_count(missed.count, 'slot')} passed without a Job ({span}): none will be made",
        since=missed.first,
        remedy="Make their reports, where they are still wanted",
        command=f"report-scheduler backfill {missed.first:%Y-%m-%d} {missed.last:%Y-%m-%d} "
        f"{schedule.report_type}",
    )


def _suspended(schedule: ScheduleSummary, _: Sequence[Job]) -> ScheduleProblem | None:
    if not schedule.suspended:
        return None
    patch = """-p '{"spec":{"suspend":false}}'"""
    return ScheduleProblem(
        kind=ProblemKind.SUSPENDED,
        reason="Suspended",
        cause="spec.suspend is true: its slots pass without a run, and what waits is held",
        since=None,
        remedy="Resume it, where its reports are wanted",
        command=f"kubectl -n {schedule.namespace} patch reportschedule {schedule.name} "
        f"--type merge {patch}",
    )


def _remedy(schedule: ScheduleSummary, remedy: Remedy | None, job: str | None) -> str:
    """The runbook's action without its links."""
    if remedy is None:
        return "See docs/runbook.md"
    action = remedy.of(schedule.namespace, schedule.name, job).action
    return _LINK.sub(r'docs/runbook.md, "\1"', action).replace("`", "")


def _paragraph(
    schedule: ScheduleSummary, problems: Sequence[ScheduleProblem], affected: str
) -> str:
    name = f"{schedule.namespace}/{schedule.name} ({schedule.report_type}, {schedule.tier})"
    if not problems:
        return _without_problem(schedule, name, affected)
    causes = [
        f"{problem.kind.value}{_since(problem.since)}: {problem.reason}: "
        f"{problem.cause.rstrip('. ')}"
        for problem in problems
    ]
    first = problems[0]
    return (
        f"{name} is {'. It is also '.join(causes)}. Affected: {affected}. "
        f"{first.remedy.rstrip('. ')}. Next: {first.command}"
    )


def _without_problem(schedule: ScheduleSummary, name: str, affected: str) -> str:
    status = schedule.status
    if status.health is None:
        return f"{name} was not seen by the operator yet. Next: report-scheduler status"
    upcoming = status.next_schedule_time
    following = f"; the next slot is {format_time(upcoming)}" if upcoming else "; no slot follows"
    failure, done = status.last_failure, status.acknowledged_through
    said = ""
    if failure is not None and done is not None and failure.slot <= done:
        said = f" (slots up to {format_time(done)} need no report: somebody said so)"
    if status.last_outcome is Outcome.SKIPPED:
        said += "; its newest run was skipped, since no report was wanted"
    return (
        f"{name} is healthy: nothing is late, and no failure stands{said}. "
        f"{_data_wait(status.data_wait)}Readers: {affected}{following}."
    )


def _data_wait(wait: WaitingRun | None) -> str:
    """Of a slot that is not late yet; without the answer, which may quote its data."""
    if wait is None:
        return ""
    return (
        f"Its run of slot {format_time(wait.slot)} waits for its data since "
        f"{format_time(wait.since)} ({_count(wait.checks, 'check')} so far); next check "
        f"{format_time(wait.next_check)}; deadline {format_time(wait.deadline)}. "
    )


def _since(instant: datetime | None) -> str:
    return f" since {format_time(instant)}" if instant is not None else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
