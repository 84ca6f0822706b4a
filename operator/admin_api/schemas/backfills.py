"""ReportBackfills as the API shows them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from admin_api.schemas.common import LIST_LIMIT, Instant
from report_operator.api.v1alpha1.backfill_spec import CONCURRENT_LIMIT, Reprocess
from report_operator.api.v1alpha1.backfill_status import BackfillState
from report_runner.contract.parameters import PARAMETERS_LIMIT, ParameterValues

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class BackfillRequest(BaseModel):
    """Reports to make, and the past dates to make them for."""

    model_config = ConfigDict(extra="forbid")

    start_date: date = Field(examples=["2026-11-02"])
    end_date: date = Field(examples=["2026-11-06"], description="Included.")
    report_types: list[Name] = Field(
        default_factory=list,
        max_length=50,
        examples=[["critical", "portfolio_performance"]],
        description="Types (spec.reportType) and tiers (critical, standard, bulk).",
    )
    reprocess: Reprocess = Field(
        default=Reprocess.MISSING,
        description="missing: slots without a successful run. failed: those that were tried and "
        "never succeeded. all: every slot.",
    )
    dry_run: bool = Field(default=False, description="Only list what would run.")
    max_concurrent: int = Field(default=2, ge=1, le=CONCURRENT_LIMIT)
    namespace: Name | None = Field(default=None, description="Only schedules in this namespace.")
    schedule: Name | None = Field(default=None, description="Only the schedule with this name.")
    parameters: ParameterValues = Field(
        default_factory=dict,
        max_length=PARAMETERS_LIMIT,
        exclude_if=lambda given: not given,
        examples=[{}],
        description="Values for parameters that the schedules declare, each as a text.",
    )


class WouldRun(BaseModel):
    """A run that a dry run would have started."""

    schedule: str
    slot: Instant
    report_date: date
    attempt: int


class Backfill(BaseModel):
    """A ReportBackfill and its progress."""

    namespace: str
    name: str = Field(examples=["backfill-20261102-20261106-5f0c6c1e00"])
    state: BackfillState | None = Field(description="null until the operator has seen it.")
    progress: str | None = Field(examples=["37/120"])
    message: str = Field(description="What it waits for, or its result.")
    total: int | None
    done: int
    failed: int
    running: int
    skipped: int
    start_date: date
    end_date: date
    report_types: list[str]
    tiers: list[str]
    schedules: list[str]
    reprocess: Reprocess
    max_concurrent: int
    dry_run: bool
    suspend: bool
    would_run: list[WouldRun] = Field(description="The first 100 runs of a dry run.")
    would_run_count: int | None
    requested_by: str | None
    created_at: Instant
    completed_at: Instant | None


class Backfills(BaseModel):
    """ReportBackfills, newest first."""

    backfills: list[Backfill]
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class RefusedNamespace(BaseModel):
    """A namespace in which Kubernetes takes no ReportBackfill, such as one that is deleted."""

    namespace: str
    reason: str


class RequestedBackfills(Backfills):
    """The ReportBackfills of a request."""

    refused: list[RefusedNamespace] = Field(
        description="Namespaces concerned that have none: nothing is made for their schedules."
    )


class BackfillsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    namespace: str | None = None
    name: str | None = None
    state: BackfillState | None = None
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")


class CancelBackfill(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, description="Only say what would become of its runs.")


class CancelledBackfill(BaseModel):
    """What becomes of the runs of a backfill that is cancelled."""

    namespace: str
    name: str
    progress: str | None = Field(description="How far it had come.", examples=["37/120"])
    removed: list[str] = Field(description="Runs that waited: they are removed, without a report.")
    going_on: list[str] = Field(description="Runs under way: they go on and are recorded.")
    dry_run: bool
    message: str = Field(description="The same for a person.")
