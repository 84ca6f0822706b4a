"""Runs as the API shows them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import LIST_LIMIT, Degraded, Instant, QueryInstant
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryStatus


class JobStatus(StrEnum):
    """The stage of a run, or its result."""

    QUEUED = "queued"
    WAITING_FOR_DATA = "waiting_for_data"
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class Job(BaseModel):
    """One run of a ReportSchedule: an attempt for a slot."""

    id: str = Field(examples=["reports.market-dashboard.20261124T050000Z.1"])
    report_type: str = Field(examples=["executive_dashboard"])
    status: JobStatus
    reason: Reason | None = Field(
        default=None, description="Why it failed, was skipped, or does not start, in one word."
    )
    error_message: str | None = Field(
        default=None, description="Why it failed, or does not start, and what to change."
    )
    skip_message: str | None = Field(
        default=None, description="Why it was skipped: no report was wanted, and none was sent."
    )
    failed_at: Instant | None = None
    namespace: str
    schedule: str = Field(description="The ReportSchedule's name.")
    tier: str
    priority: str | None = Field(default=None, description="high, normal or low.")
    job: str = Field(description="The Kubernetes Job's name.")
    manual: bool = Field(description="Started by a person, not by the schedule.")
    backfill: str | None = Field(default=None, description="The ReportBackfill that it belongs to.")
    slot: Instant = Field(description="The instant for which it was scheduled.")
    report_date: date | None = None
    attempt: int = Field(description="1 for the first, counted up by each retry of the slot.")
    requested_by: str | None = Field(default=None, description="Who asked for a further attempt.")
    definition: str | None = Field(
        default=None, description="The ConfigMap with the definition that it used."
    )
    overridden: bool | None = Field(
        default=None,
        description="Asked for with parameters of its own, or sent again to those who had it; null "
        "where an older version recorded the run, which did not say.",
    )
    created_at: Instant | None = Field(default=None, description="When its Job was made.")
    admitted_at: Instant | None = Field(default=None, description="When it was admitted to start.")
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
        default=None,
        description="Fields left out because the caller has no right in the namespace.",
    )


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
    """The delivery to one recipient in this attempt."""

    recipient: str
    channel: str = "email"
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
    """One run with all stored details."""

    pages: int | None = None
    pods: int | None = Field(default=None, description="Pods that were started for it.")
    files: list[OutputFile] = Field(default_factory=list)
    deliveries: list[Delivery] = Field(default_factory=list)
    attempts: list[SlotAttempt] = Field(default_factory=list, description="Newest first.")
    log: list[str] = Field(
        default_factory=list,
        description="The last lines of its newest pod, as text, a traceback's indented by four "
        "spaces; those of a failed run are stored.",
    )
    trace_id: str = Field(
        description="Of its trace in OpenTelemetry, where the operator's configuration has traces "
        "exported (config.tracing)."
    )
    log_command: str = Field(description="The whole log, while the pod exists.")
    degraded: Degraded = Field(default_factory=list)


class JobsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: JobStatus | None = None
    report_type: str | None = None
    namespace: str | None = None
    schedule: str | None = Field(default=None, description="The ReportSchedule's name.")
    since: QueryInstant | None = Field(default=None, description="With a zone.")
    until: QueryInstant | None = Field(default=None, description="With a zone.")
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")
