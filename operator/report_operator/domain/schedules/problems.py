"""What keeps a schedule's readers without a report: judged here once.

`status.explanation`, the admin API, its page and the command line say what this says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from report_operator.api.v1alpha1.conditions import ConditionType
from report_operator.api.v1alpha1.status import (
    Condition,
    DelayStage,
    LastFailure,
    RecentRun,
    ReportScheduleStatus,
)
from report_operator.domain.names import ANNOTATION_OWNER, job_id
from report_operator.domain.texts import cut
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from report_runner.contract.words import counted

EXPLANATION_LIMIT = 4000  # characters
OWNER_LIMIT = 200
# A further attempt comes to the same while the schedule or the data are as they are. The tries of
# the run itself (spec.retry) are over by then, and have given the data some time.
NOT_BY_RETRY = (
    Reason.CONFIGURATION_ERROR,
    Reason.DATA_CHECK_FAILED,
    Reason.DATA_CORRUPTED,
    Reason.EMPTY_REPORT,
)


class ProblemKind(StrEnum):
    """Ordered by gravity, the gravest first."""

    FAILING = "failing"
    NOT_READY = "not ready"
    LATE = "late"
    NOT_STARTING = "not starting"
    MISSED = "missed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class EndedRun:
    """An outcome that status remembers."""

    uid: str
    job: str
    slot: datetime
    attempt: int
    finished_at: datetime
    failed: bool
    skipped: bool
    reason: Reason | None
    of_backfill: bool


def ended_run(entry: RecentRun) -> EndedRun:
    return EndedRun(
        uid=entry.uid,
        job=entry.job,
        slot=entry.slot,
        attempt=entry.attempt,
        finished_at=entry.finished_at,
        failed=entry.outcome is Outcome.FAILED,
        skipped=entry.outcome is Outcome.SKIPPED,
        reason=entry.reason,
        of_backfill=entry.backfill is not None,
    )


@dataclass(frozen=True, slots=True)
class ScheduleBrief:
    """Which schedule it is, and whom it is for."""

    namespace: str
    name: str
    report_type: str
    suspended: bool
    recipients: int  # of its mails
    owner: str  # as its annotation says; empty where it says nothing


def brief_of(body: Mapping[str, Any]) -> ScheduleBrief:
    """A spec that is invalid is read as far as it can be."""
    meta, spec = body["metadata"], body["spec"]
    owner = str((meta.get("annotations") or {}).get(ANNOTATION_OWNER) or "")
    return ScheduleBrief(
        namespace=meta["namespace"],
        name=meta["name"],
        report_type=str(spec.get("reportType", "")),
        suspended=bool(spec.get("suspend")),
        recipients=len(recipients_in(spec)),
        owner=cut(" ".join(owner.split()), OWNER_LIMIT),
    )


def recipients_in(spec: Mapping[str, Any]) -> set[str]:
    """Distinct recipients as written: a spec that is invalid is read as far as it can be."""
    delivery = spec.get("delivery")
    email = delivery.get("email") if isinstance(delivery, Mapping) else None
    if not isinstance(email, Mapping):
        return set()
    lists = (email.get(name) for name in ("to", "cc", "bcc"))
    return {str(item) for found in lists if isinstance(found, list) for item in found}


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """A schedule as the judgement sees it; `standing` is the uid of the failure that stands."""

    brief: ScheduleBrief
    status: ReportScheduleStatus
    ended: Sequence[EndedRun]
    standing: str | None

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((c for c in self.status.conditions if c.type == kind), None)

    @property
    def standing_run(self) -> EndedRun | None:
        return next((run for run in self.ended if run.uid == self.standing), None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps readers without a report.

    `newest` is the newest failure, for the other kinds it is `since`; `times` are failures in a
    row; `message` is `cause` without slot and Job.
    """

    kind: ProblemKind
    reason: str
    cause: str
    message: str
    since: datetime | None
    newest: datetime | None
    command: str  # what to type next
    slot: datetime | None = None
    job: str | None = None  # the Kubernetes Job to look at
    times: int = 1


def problems_of(facts: ScheduleFacts) -> list[Problem]:
    """The gravest first."""
    checks = (_failing, _not_ready, _late, _not_starting, _missed, _suspended)
    return [problem for check in checks if (problem := check(facts)) is not None]


def explanation_of(facts: ScheduleFacts) -> str | None:
    """Cause, since when, who is affected and the next command; None where nothing is wrong."""
    gravest = next(iter(problems_of(facts)), None)
    if gravest is None:
        return None
    tail = f". Affected: {affected_by(facts)}. Next: {gravest.command}"
    head = said_of(gravest)
    return f"{cut(head, EXPLANATION_LIMIT - len(tail))}{tail}"


def said_of(problem: Problem) -> str:
    """`failing since …: DatabaseUnavailable: slot …, Job …: refused`."""
    since = f" since {format_time(problem.since)}" if problem.since is not None else ""
    return f"{problem.kind.value}{since}: {problem.reason}: {problem.cause.rstrip('. ')}"


def affected_by(facts: ScheduleFacts) -> str:
    """Whom the schedule's mails go to, whose it is, what waits, and since when there is none."""
    status = facts.status
    parts = [
        f"{facts.brief.namespace}/{facts.brief.name} ({facts.brief.report_type})"
        + (f" of {facts.brief.owner}" if facts.brief.owner else ""),
        counted(facts.brief.recipients, "recipient") if facts.brief.recipients else
        "nobody by mail (only files)",
    ]  # fmt: skip
    if status.consecutive_failures > 1:
        parts.append(f"{counted(status.consecutive_failures, 'run')} failed in a row")
    if status.queued:
        parts.append(f"{counted(status.queued, 'run')} waiting in the queue")
    if status.waiting_for_data:
        parts.append(f"{counted(status.waiting_for_data, 'run')} waiting for data")
    parts.append(
        f"the last report was made {format_time(status.last_success_time)}"
        if status.last_success_time
        else "no report was ever made"
    )
    return "; ".join(parts)


def _failing(facts: ScheduleFacts) -> Problem | None:
    condition, failure = facts.condition(ConditionType.FAILING), _last_failure(facts)
    if condition is None or condition.status != "True":
        return None
    message = failure.message if failure is not None else condition.message
    return Problem(
        ProblemKind.FAILING,
        failure.reason.value if failure is not None else condition.reason,
        condition.message or message,
        message,
        _failing_since(facts, condition),
        failure.time if failure is not None else condition.last_transition_time,
        _after_failure(facts),
        failure.slot if failure is not None else None,
        failure.job if failure is not None else None,
        max(facts.status.consecutive_failures, 1),
    )


def _last_failure(facts: ScheduleFacts) -> LastFailure | None:
    """That of status, if it is the one that stands."""
    failure, standing = facts.status.last_failure, facts.standing_run
    other = failure is not None and standing is not None and failure.slot != standing.slot
    return None if other else failure


def _failing_since(facts: ScheduleFacts, condition: Condition) -> datetime:
    """The end of the first of the runs that failed for this reason, without another between."""
    failure = _last_failure(facts)
    if failure is None:
        return condition.last_transition_time
    since = failure.time
    for run in sorted(facts.ended, key=lambda run: run.finished_at, reverse=True):
        if run.of_backfill or run.skipped or run.finished_at > failure.time:
            continue
        if not run.failed or run.reason is not failure.reason:
            break
        since = run.finished_at
    return since


def _after_failure(facts: ScheduleFacts) -> str:
    run = facts.standing_run
    if run is None:
        return f"report-scheduler jobs --schedule {facts.brief.name} --status failed"
    under_way = next((a for a in facts.status.active_runs if a.slot == run.slot), None)
    if under_way is not None:
        return f"report-scheduler job {_id(facts, under_way.slot, under_way.attempt)}"
    command = "job" if run.reason in NOT_BY_RETRY else "retry"
    return f"report-scheduler {command} {_id(facts, run.slot, run.attempt)}"


def _not_ready(facts: ScheduleFacts) -> Problem | None:
    ready = facts.condition(ConditionType.READY)
    if ready is None or ready.status != "False":
        return None
    since = ready.last_transition_time
    return Problem(
        ProblemKind.NOT_READY, ready.reason, ready.message, ready.message, since, since,
        _describe(facts, "reportschedule", facts.brief.name),
    )  # fmt: skip


def _late(facts: ScheduleFacts) -> Problem | None:
    condition, delay = facts.condition(ConditionType.DELAYED), facts.status.delay
    if delay is None:
        return None
    run = next((a for a in facts.status.active_runs if a.job == delay.job), None)
    if delay.stage is DelayStage.NOT_CREATED:
        command = _describe(facts, "cronjob", facts.status.cron_job or facts.brief.name)
    elif run is None or delay.stage is DelayStage.QUEUED:
        command = "report-scheduler queue"
    else:
        command = f"report-scheduler job {_id(facts, run.slot, run.attempt)}"
    text = condition.message if condition is not None else ""
    return Problem(
        ProblemKind.LATE, delay.stage.value, text or f"slot {format_time(delay.slot)}", text,
        delay.since, delay.since, command, delay.slot, delay.job,
    )  # fmt: skip


def _not_starting(facts: ScheduleFacts) -> Problem | None:
    """Before its slot is late: then the late slot says it."""
    pending, delay = facts.status.pending, facts.status.delay
    if pending is None or (delay is not None and delay.slot == pending.slot):
        return None
    where = f"Job {pending.job}" if pending.job else "no Job could be made"
    return Problem(
        ProblemKind.NOT_STARTING,
        pending.reason.value,
        f"slot {format_time(pending.slot)}, {where}: {pending.message}",
        pending.message,
        pending.since,
        pending.since,
        _describe(facts, "pod", f"-l job-name={pending.job}")
        if pending.job
        else _describe(facts, "reportschedule", facts.brief.name),
        pending.slot,
        pending.job,
    )


def _missed(facts: ScheduleFacts) -> Problem | None:
    """Slots without a Job, until there is a report made after them."""
    status = facts.status
    missed, done = status.last_missed, (status.last_success_time, status.acknowledged_through)
    if missed is None or any(at is not None and at > missed.last for at in done):
        return None
    span = format_time(missed.first)
    if missed.last != missed.first:
        span += f" to {format_time(missed.last)}"
    cause = f"{counted(missed.count, 'slot')} passed without a Job ({span}): none will be made"
    return Problem(
        ProblemKind.MISSED, "Missed", cause, cause, missed.first, missed.first,
        f"report-scheduler backfill {missed.first:%Y-%m-%d} {missed.last:%Y-%m-%d} "
        f"{facts.brief.report_type}", missed.first,
    )  # fmt: skip


def _suspended(facts: ScheduleFacts) -> Problem | None:
    if not facts.brief.suspended:
        return None
    cause = "spec.suspend is true: its slots pass without a run, and what waits is held"
    return Problem(
        ProblemKind.SUSPENDED, "Suspended", cause, cause, None, None,
        f"kubectl -n {facts.brief.namespace} patch reportschedule {facts.brief.name} "
        """--type merge -p '{"spec":{"suspend":false}}'""",
    )  # fmt: skip


def _describe(facts: ScheduleFacts, kind: str, which: str) -> str:
    return f"kubectl -n {facts.brief.namespace} describe {kind} {which}"


def _id(facts: ScheduleFacts, slot: datetime, attempt: int) -> str:
    return job_id(facts.brief.namespace, facts.brief.name, slot, attempt)
