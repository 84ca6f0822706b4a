"""The queue, and giving up runs that wait in it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import LIST_LIMIT, Instant, JobId, Name
from report_operator.domain.admission.waiting import Hold

PURGE_LIMIT = 500  # ids in one call


class QueueEntry(BaseModel):
    """A run that waits for admission."""

    position: int = Field(description="1 is the next to start.")
    id: str
    report_type: str
    namespace: str
    schedule: str = Field(description="The ReportSchedule's name.")
    job: str = Field(description="The Kubernetes Job's name.")
    tier: str = Field(description="The effective one; see `note`.")
    priority: str = Field(description="The effective one; see `note`.")
    note: str | None = Field(
        default=None, description="What the run declares, but its namespace does not allow."
    )
    slot: Instant
    enqueued_at: Instant
    backfill: str | None = None
    hold: Hold | None = Field(
        default=None, description="The limit that holds it back; null: it starts now."
    )
    waits_for: str | None = Field(
        default=None, examples=["2 of 2 places of tier bulk are taken"],
        description="The same as text.",
    )  # fmt: skip
    likely_start: Instant | None = Field(
        default=None,
        description="Estimated from past run times, without runs yet to come; null: unknown.",
    )


class QueuePage(BaseModel):
    """A page of the queue, the next run to start first."""

    queue: list[QueueEntry]
    total: int
    places: int = Field(description="Runs that may be active at once.")
    places_taken: int = Field(
        description="Places taken by runs that are running or about to start."
    )
    not_starting: dict[str, int] = Field(
        description="Admitted runs without a running pod, by namespace; they take places of their "
        "namespace only."
    )
    next: int | None = Field(description="`after` of the next page, if there is one.")


class QueueQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    after: int = Field(default=0, ge=0, le=1_000_000, description="List runs after this position.")


class CleanupRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    older_than_hours: float = Field(ge=0, le=24 * 365, strict=True)
    report_type: Name | None = None
    tier: Name | None = None
    namespace: Name | None = None
    backfill: Name | None = Field(default=None, description="The name of a ReportBackfill.")
    ids: list[JobId] | None = Field(
        default=None,
        min_length=1,
        max_length=PURGE_LIMIT,
        description="`jobs` of a dry run: only those of them that still wait are given up, and no "
        "run that nobody has seen. The other fields apply as well.",
    )
    dry_run: bool = Field(default=False, description="Only list what would be given up.")


class NotPurged(BaseModel):
    """A run that was asked for and not given up."""

    id: str
    status: str = Field(
        description="What it is now; `gone` where it is not known any more. `queued`: the filters "
        "do not match it, or it was written to just now."
    )


class Cleanup(BaseModel):
    """The runs given up; each is recorded as failed with the reason QueueTimeout."""

    removed: int = Field(description="0 for a dry run.")
    jobs: list[str] = Field(description="The ids, also of what a dry run would give up.")
    dry_run: bool = False
    not_waiting: list[NotPurged] = Field(
        default_factory=list,
        description="Asked for and left alone: they do not wait any more, started for example.",
    )
