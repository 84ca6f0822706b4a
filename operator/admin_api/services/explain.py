"""Why a schedule's readers have no report, in the words of its status and of the runbook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from admin_api.schemas.jobs import Job
from admin_api.schemas.schedules import ScheduleDetail, ScheduleProblem
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.problems import RemediedProblem, with_remedies
from admin_api.services.schedules import condition_of, describe
from report_operator.api.v1alpha1.status import WaitingRun
from report_operator.domain.schedules.problems import ProblemKind, affected_by, said_of
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome
from report_runner.contract.words import counted

HIDDEN = "(its message needs a right in the namespace)"
QUOTING = (
    ProblemKind.FAILING, ProblemKind.NOT_READY, ProblemKind.LATE, ProblemKind.NOT_STARTING,
)  # fmt: skip


def explain(
    schedule: ScheduleSummary, degraded: list[str], *, messages: bool = True
) -> ScheduleDetail:
    """Without `messages` texts that may quote the schedule's data are left out."""
    problems = [found if messages else _without_message(found) for found in with_remedies(schedule)]
    affected = affected_by(schedule.facts)
    return ScheduleDetail(
        **describe(schedule).model_dump(),
        problems=[_shown(found) for found in problems],
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


def _without_message(found: RemediedProblem) -> RemediedProblem:
    if found.problem.kind not in QUOTING:
        return found
    return replace(found, problem=replace(found.problem, cause=HIDDEN, message=HIDDEN))


def _shown(found: RemediedProblem) -> ScheduleProblem:
    problem = found.problem
    return ScheduleProblem(
        kind=problem.kind,
        reason=problem.reason,
        cause=problem.cause,
        since=problem.since,
        remedy=found.action,
        command=problem.command,
    )


def _paragraph(
    schedule: ScheduleSummary, problems: Sequence[RemediedProblem], affected: str
) -> str:
    name = f"{schedule.namespace}/{schedule.name} ({schedule.report_type}, {schedule.tier})"
    if not problems:
        return _without_problem(schedule, name, affected)
    causes = [said_of(found.problem) for found in problems]
    return (
        f"{name} is {'. It is also '.join(causes)}. Affected: {affected}. "
        f"{problems[0].action.rstrip('. ')}. Next: {problems[0].problem.command}"
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
        f"{format_time(wait.since)} ({counted(wait.checks, 'check')} so far); next check "
        f"{format_time(wait.next_check)}; deadline {format_time(wait.deadline)}. "
    )
