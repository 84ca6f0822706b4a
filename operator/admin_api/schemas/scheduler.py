"""What the API says. Instants are RFC 3339 in UTC, durations in seconds unless a name says else."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.admission.queue import Hold
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryStatus

Instant = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str)]


def _written_out(pattern: str, example: str) -> BeforeValidator:
    """Only text of this form: numbers would pass as seconds or days since 1970."""
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if (isinstance(value, str) and not compiled.match(value)) or isinstance(value, int | float):
            raise ValueError(f"write it as {example}")
        return value

    return BeforeValidator(check)


def _sendable(text: str) -> str:
    if not text.isascii() and text.encode(errors="ignore").decode() != text:
        raise ValueError("half of a surrogate pair is no character")
    return text


def _after_1969(day: date) -> date:
    if day < FIRST_DATE:
        raise ValueError(f"{day} is before {FIRST_DATE}, the first that can be asked for")
    return day


FIRST_DATE = date(1970, 1, 1)  # slots are counted from there; what is older is a typing error
ReportDate = Annotated[
    date, _written_out(r"\d{4}-\d\d-\d\d$", "2026-11-24"), AfterValidator(_after_1969)
]
Name = Annotated[str, Field(max_length=253), AfterValidator(_sendable)]
JobId = Annotated[str, Field(max_length=400), AfterValidator(_sendable)]
AskedInstant = Annotated[AwareDatetime, _written_out(r"\d{4}-\d\d-\d\d", "2026-11-24T05:00:00Z")]

SCHEDULER = "/api/admin/scheduler"
DEPLOYMENTS = "/api/admin/deployments"
REPORTS = "/api/admin/reports"
LIST_LIMIT = 500


class JobStatus(StrEnum):
    """Where a run is, or how it ended."""

    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Job(BaseModel):
    """One run of a ReportSchedule: an attempt for a slot."""

    id: str = Field(examples=["reports.market-dashboard.20261124T050000Z.1"])
    report_type: str = Field(examples=["executive_dashboard"])
    status: JobStatus
    reason: Reason | None = Field(default=None, description="Why it failed, in one word.")
    error_message: str | None = Field(default=None, description="Why it failed, for a person.")
    failed_at: Instant | None = None
    namespace: str
    schedule: str = Field(description="The ReportSchedule's name.")
    tier: str
    priority: str | None = Field(default=None, description="Order in the queue.")
    job: str = Field(description="The Kubernetes Job's name.")
    manual: bool = Field(description="Started by a person, not by the schedule.")
    backfill: str | None = Field(default=None, description="The ReportBackfill it is part of.")
    slot: Instant = Field(description="The instant for which it was scheduled.")
    report_date: date | None = None
    attempt: int = Field(description="1, and more for an explicit retry of the slot.")
    requested_by: str | None = Field(default=None, description="Who asked for a further attempt.")
    definition: str | None = Field(default=None, description="The ConfigMap that it used.")
    created_at: Instant | None = Field(default=None, description="When its Job was made.")
    admitted_at: Instant | None = Field(default=None, description="When it was let start.")
    started_at: Instant | None = None
    finished_at: Instant | None = None
    queued_seconds: int | None = None
    pending_seconds: int | None = None
    run_seconds: int | None = None
    rows: int | None = None
    outputs: list[str] = Field(
        default_factory=list,
        description="Files that it made, relative to /var/adaf/reports; whether they are still "
        "there is in `files` of the one job.",
    )
    not_shown: str | None = Field(
        default=None, description="What was left out for want of a right in the namespace."
    )


Degraded = Annotated[list[str], Field(description="What this answer lacks, and why.")]


class Jobs(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    degraded: Degraded = Field(default_factory=list)
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class OutputState(StrEnum):
    """Whether a file that a run made is still on the volume."""

    AVAILABLE = "available"
    GONE = "gone"
    UNKNOWN = "unknown"


class OutputFile(BaseModel):
    """A finished file."""

    path: str = Field(description="Relative to /var/adaf/reports.")
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    state: OutputState = Field(
        default=OutputState.UNKNOWN,
        description="gone: removed after spec.output.retention, or by a person. unknown: no file "
        "server answers.",
    )


class Delivery(BaseModel):
    """What became of one recipient in this attempt."""

    recipient: str
    status: DeliveryStatus
    message_id: str | None = None
    error: str | None = None


class SlotAttempt(BaseModel):
    """An attempt of the same slot."""

    id: str
    attempt: int
    status: JobStatus
    reason: Reason | None = None
    finished_at: Instant | None = None


class JobDetail(Job):
    """One run with all that is kept of it."""

    pages: int | None = None
    pods: int | None = Field(default=None, description="Pods that were started for it.")
    files: list[OutputFile] = Field(default_factory=list)
    deliveries: list[Delivery] = Field(default_factory=list)
    attempts: list[SlotAttempt] = Field(default_factory=list, description="Newest first.")
    log: list[str] = Field(
        default_factory=list,
        description="The last lines of its newest pod; of a failed run they are kept.",
    )
    log_command: str = Field(description="The whole log, while the pod exists.")
    degraded: Degraded = Field(default_factory=list)


class JobsQuery(BaseModel):
    """Which jobs."""

    model_config = ConfigDict(extra="forbid")

    status: JobStatus | None = None
    report_type: str | None = None
    since: AskedInstant | None = Field(default=None, description="With a zone.")
    until: AskedInstant | None = Field(default=None, description="With a zone.")
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")


class Nothing(BaseModel):
    """No query parameters."""

    model_config = ConfigDict(extra="forbid")


NoQuery = Annotated[Nothing, Query()]


class QueueEntry(BaseModel):
    """A run that waits for admission."""

    position: int = Field(description="1 is the next to start.")
    id: str
    report_type: str
    namespace: str
    schedule: str = Field(description="The ReportSchedule's name.")
    job: str = Field(description="The Kubernetes Job's name.")
    tier: str = Field(description="The one that counts; see `note`.")
    priority: str = Field(description="The one that counts; see `note`.")
    note: str | None = Field(
        default=None, description="What the run declares and its namespace may not have."
    )
    slot: Instant
    enqueued_at: Instant
    backfill: str | None = None
    hold: Hold | None = Field(default=None, description="What holds it back; null: it starts now.")
    waits_for: str | None = Field(
        default=None, examples=["2 of 2 places of tier bulk are taken"],
        description="The same for a person.",
    )  # fmt: skip
    likely_start: Instant | None = Field(
        default=None,
        description="By how long past runs took, without those that come meanwhile; null: unknown.",
    )


class QueuePage(BaseModel):
    """A page of the queue, the next run to start first."""

    queue: list[QueueEntry]
    total: int
    places: int = Field(description="Runs that may be active at once.")
    places_taken: int = Field(description="Of these, by runs that work or are about to start.")
    not_starting: dict[str, int] = Field(
        description="By namespace, admitted runs without a pod that runs; they take places of "
        "their namespace only."
    )
    next: int | None = Field(description="`after` of the next page, if there is one.")


class QueueQuery(BaseModel):
    """Which part of the queue."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    after: int = Field(default=0, ge=0, le=1_000_000, description="A position: those behind it.")


class SchedulerState(StrEnum):
    """The scheduler as a whole."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    DOWN = "down"


class SchedulerStatus(BaseModel):
    """How the scheduler is."""

    status: SchedulerState
    uptime: int | None = Field(description="Seconds since the leading operator took over.")
    active_jobs: int
    queue_depth: int
    last_heartbeat: Instant | None = Field(description="When the operator last renewed its lease.")
    degraded: list[str] = Field(description="What is not as it should be.")
    schedules: int
    failing: int
    delayed: int


class Check(BaseModel):
    """One thing that health depends on."""

    name: str
    ok: bool
    latency_ms: float
    reason: str = ""


class Health(BaseModel):
    """200 where all checks are ok, else 503."""

    status: SchedulerState
    checks: list[Check]


class DatabaseHealth(BaseModel):
    """200 where `ok`, else 503."""

    status: SchedulerState
    ok: bool
    latency_ms: float = Field(description="To connect anew and be answered.")
    reason: str = Field(default="", description="Why it is not ok.")
    server_version: str | None = None
    connections: dict[str, int] = Field(
        default_factory=dict, description="The scheduler's, by state."
    )
    pool: dict[str, int] = Field(
        default_factory=dict, description="This process's pool, as psycopg_pool counts."
    )


class PerformanceMetrics(BaseModel):
    """Over the recorded runs of the last 24 hours."""

    processing_rate: float = Field(description="Finished jobs a minute.")
    avg_execution_time_ms: float | None
    success_rate_percent: float | None
    finished: int
    queue_depth: int
    active_jobs: int
    degraded: Degraded = Field(default_factory=list)


class GenerateRequest(BaseModel):
    """Which report to make."""

    model_config = ConfigDict(extra="forbid")

    type: Name = Field(examples=["executive_dashboard"], description="spec.reportType.")
    date: ReportDate
    priority: Priority = Priority.NORMAL
    namespace: Name | None = Field(default=None, description="Where several have the type.")
    schedule: Name | None = Field(default=None, description="Where several have the type.")


class CleanupRequest(BaseModel):
    """Which waiting runs to give up."""

    model_config = ConfigDict(extra="forbid")

    older_than_hours: float = Field(ge=0, le=24 * 365, strict=True)


class Cleanup(BaseModel):
    """What was given up; each is recorded as failed with the reason QueueTimeout."""

    removed: int
    jobs: list[str] = Field(description="Their ids.")


class Accepted(BaseModel):
    """An action that goes on by itself."""

    message: str


class ShutdownQuery(BaseModel):
    """How to stop."""

    model_config = ConfigDict(extra="forbid")

    graceful: bool = True


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
