"""A finished run as history stores it: one row, from its outcome, its Job and its pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.runs.failure import newest_result
from report_operator.domain.runs.identity import RunIdentity, identity_of_entry
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.statistics import error_pattern
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, Outcome

LOG_LINES = 50
LOG_BYTES = 8 * 1024
OUTPUTS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Owner:
    """The fields of a record that come from the ReportSchedule when the run is recorded."""

    namespace: str
    name: str
    uid: str
    report_type: str
    tier: str


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """A finished file; `path` is relative to the report volume. Only the path is always known."""

    path: str
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One attempt. Instants are aware, UTC; None is what is not known any more."""

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
    requested_by: str | None
    backfill: str | None
    backfill_uid: str | None
    job: str
    definition: str | None
    overridden: bool | None
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
    outputs: tuple[StoredOutput, ...]
    pods: int | None  # that were started for it

    @property
    def identity(self) -> RunIdentity:
        names = (field.name for field in fields(RunIdentity))
        return RunIdentity(**{name: getattr(self, name) for name in names})


def record_of(owner: Owner, entry: RecentRun, run: Run | None, pods: Sequence[Pod]) -> RunRecord:
    """The record of an outcome. `run` and `pods` are None and empty where its Job is gone."""
    result = newest_result(pods)
    failed = entry.outcome is Outcome.FAILED
    message = cut(entry.message, MESSAGE_LIMIT)
    outputs = tuple(StoredOutput(path) for path in entry.outputs[:OUTPUTS_LIMIT])
    if result is not None and result.outputs:
        outputs = tuple(
            StoredOutput(file.path, file.format, file.bytes, file.sha256) for file in result.outputs
        )
    # The Job's own words where it is there: entries of an older version say less.
    identity = (
        run.identity
        if run is not None
        else identity_of_entry(owner.namespace, owner.name, owner.uid, owner.tier, entry)
    )
    return RunRecord(
        **asdict(identity),
        job_id=identity.id,
        report_type=owner.report_type,
        outcome=entry.outcome,
        reason=entry.reason,
        message=message,
        error_pattern=error_pattern(message) if failed else None,
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
    """The state of each recipient, from the newest pod that left a result."""
    result = newest_result(pods)
    return tuple(result.deliveries) if result else ()


def log_tail(lines: Sequence[str]) -> str:
    """The end of a log: at most LOG_LINES lines in LOG_BYTES bytes, whole characters."""
    text = "\n".join(lines[-LOG_LINES:])
    return text.encode()[-LOG_BYTES:].decode(errors="ignore")
