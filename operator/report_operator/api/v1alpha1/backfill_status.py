"""The status of a ReportBackfill: how far it has come."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from report_operator.api.v1alpha1.backfill_spec import CONCURRENT_LIMIT
from report_operator.api.v1alpha1.conditions import BackfillConditionType
from report_operator.api.v1alpha1.status import BaseCondition, Instant, StatusModel
from report_runner.contract.reasons import Reason
from report_runner.contract.schema import LIST_ATOMIC, list_map

WOULD_RUN_LIMIT = 100
FAILURES_LIMIT = 10


class BackfillState(StrEnum):
    """One word for a list."""

    WAITING = "Waiting"  # the condition Ready says for what
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DRY_RUN = "DryRun"


class BackfillCondition(BaseCondition):
    """Of a ReportBackfill."""

    type: BackfillConditionType = Field(
        description="Ready or Complete; Stalled or Reconciling while it is not Ready."
    )


class Cursor(StatusModel):
    """A place in the order of slots: oldest first, of one instant by the schedule's name."""

    slot: Instant = Field(description="The slot.")
    schedule: str = Field(description="The ReportSchedule.")


class BackfillRun(StatusModel):
    """A run that is decided on."""

    job: str = Field(description="The run's Job.")
    schedule: str = Field(description="The ReportSchedule.")
    schedule_uid: str = Field(description="Its uid.")
    slot: Instant = Field(description="The slot.")
    report_date: date = Field(description="The date that it reports on.")
    attempt: int = Field(description="Which explicit attempt of the slot this is.")


class BackfillFailure(StatusModel):
    """A run of the backfill that failed."""

    job: str = Field(description="The run's Job.")
    schedule: str = Field(description="The ReportSchedule.")
    slot: Instant = Field(description="The slot.")
    report_date: date = Field(description="The date that it reports on.")
    reason: Reason = Field(description="Why, in one word.")
    message: str = Field(description="Why, for a person.")
    time: Instant = Field(description="When it failed.")


class ReportBackfillStatus(StatusModel):
    """What is observed."""

    observed_generation: int | None = Field(
        default=None, description="The generation of the spec that this status was decided from."
    )
    state: BackfillState | None = Field(
        default=None, description="Waiting, Running, Suspended, Succeeded, Failed or DryRun."
    )
    progress: str | None = Field(
        default=None, description="Slots that are over, of all, such as 37/120."
    )
    conditions: list[BackfillCondition] = Field(
        default_factory=list,
        json_schema_extra=list_map("type"),
        description="Ready, Complete; Stalled or Reconciling while it is not Ready.",
    )
    total: int | None = Field(
        default=None, description="Slots of the range; absent until they are known."
    )
    done: int = Field(default=0, description="Runs that succeeded.")
    failed: int = Field(default=0, description="Runs that failed.")
    running: int = Field(default=0, description="Runs that are made and have not ended.")
    skipped: int = Field(
        default=0,
        description="Slots that need no run by spec.reprocess, whose run was skipped since no "
        "report was wanted, or whose schedule was deleted.",
    )
    cursor: Cursor | None = Field(
        default=None, description="Every slot up to here is decided on, and none is twice."
    )
    in_flight: list[BackfillRun] = Field(
        default_factory=list,
        max_length=CONCURRENT_LIMIT,
        json_schema_extra=list_map("job"),
        description="Runs that are decided on and not counted yet.",
    )
    last_failures: list[BackfillFailure] = Field(
        default_factory=list,
        max_length=FAILURES_LIMIT,
        json_schema_extra=LIST_ATOMIC,
        description="The newest failures, oldest first.",
    )
    would_run: list[BackfillRun] = Field(
        default_factory=list,
        max_length=WOULD_RUN_LIMIT,
        json_schema_extra=LIST_ATOMIC,
        description="With dryRun: the first of the runs that would be made.",
    )
    would_run_count: int | None = Field(
        default=None, description="With dryRun: how many runs would be made."
    )
    start_time: Instant | None = Field(
        default=None, description="When it was first looked at; later slots are not part of it."
    )
    completion_time: Instant | None = Field(
        default=None, description="When the last of its runs had ended."
    )
