"""A finished run as history keeps it: one row, made of its outcome, its Job and its pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.failure import newest_result
from report_operator.domain.figures import error_pattern
from report_operator.domain.names import job_id
from report_operator.domain.run import MESSAGE_LIMIT, Pod, Run, cut
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, Outcome

LOG_LINES = 50
LOG_BYTES = 8 * 1024
OUTPUTS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Owner:
    """What a record says of the ReportSchedule, as it is when the run is recorded."""

    namespace: str
    name: str
    uid: str
    report_type: str
    tier: str


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """A finished file; `path` is relative to the report volume. Only the path is always known."""

    path: str
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One attempt. Instants are aware, UTC; what nobody knows any more is None."""

    job_uid: str
    job_id: str
    namespace: str
    schedule: str
    schedule_uid: str
    report_type: str
    tier: str
    priority: str | None
    slot: datetime
    attempt: int
    report_date: date | None
    manual: bool
    asked_by: str | None
    backfill: str | None
    backfill_uid: str | None
    job: str
    definition: str | None
    outcome: Outcome
    reason: Reason | None
    message: str
    error_pattern: str | None  # of a failure: its message without what differs each time
    created_at: datetime | None
    admitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime
    queued_seconds: int | None
    pending_seconds: int | None
    run_seconds: int | None
    rows: int | None
    pages: int | None
    outputs: tuple[KeptOutput, ...]
    pods: int | None  # that were started for it


def record_of(owner: Owner, entry: RecentRun, run: Run | None, pods: Sequence[Pod]) -> RunRecord:
    """The record of an outcome. What its Job and pods add is left out where they are gone."""
    result = newest_result(pods)
    failed = entry.outcome is Outcome.FAILED
    message = cut(entry.message, MESSAGE_LIMIT)
    outputs = tuple(KeptOutput(path) for path in entry.outputs[:OUTPUTS_LIMIT])
    if result is not None and result.outputs:
        outputs = tuple(
            KeptOutput(file.path, file.format, file.bytes, file.sha256) for file in result.outputs
        )
    return RunRecord(
        job_uid=entry.uid,
        job_id=job_id(owner.namespace, owner.name, entry.slot, entry.attempt),
        namespace=owner.namespace,
        schedule=owner.name,
        schedule_uid=owner.uid,
        report_type=owner.report_type,
        tier=run.tier if run else owner.tier,
        priority=run.priority if run else None,
        slot=entry.slot,
        attempt=entry.attempt,
        report_date=entry.report_date,
        manual=entry.manual,
        asked_by=(run.asked_by or None) if run else None,
        backfill=(run.backfill or None) if run else None,
        backfill_uid=(run.backfill_uid or None) if run else None,
        job=entry.job,
        definition=(run.definition or None) if run else None,
        outcome=entry.outcome,
        reason=entry.reason,
        message=message,
        error_pattern=error_pattern(message) if failed else None,
        created_at=run.created_at if run else None,
        admitted_at=run.admitted_at if run else None,
        started_at=entry.started_at,
        finished_at=entry.finished_at,
        queued_seconds=entry.queued_seconds,
        pending_seconds=entry.pending_seconds,
        run_seconds=entry.run_seconds,
        rows=entry.rows,
        pages=result.pages if result else None,
        outputs=outputs,
        pods=len(pods) if run else None,
    )


def deliveries_of(pods: Sequence[Pod]) -> tuple[DeliveryResult, ...]:
    """What became of each recipient, as the newest pod that left a result says."""
    result = newest_result(pods)
    return tuple(result.deliveries) if result else ()


def kept_log(lines: Sequence[str]) -> str:
    """The end of a log: at most LOG_LINES lines in LOG_BYTES bytes, whole characters."""
    text = "\n".join(lines[-LOG_LINES:])
    return text.encode()[-LOG_BYTES:].decode(errors="ignore")
