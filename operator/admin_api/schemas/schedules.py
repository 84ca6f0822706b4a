"""ReportSchedules as the API shows them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import LIST_LIMIT, Degraded, Instant, Name, QueryInstant
from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import DelayStage, ScheduleHealth
from report_operator.domain.schedules.problems import ProblemKind
from report_runner.contract.reasons import Reason


class Ready(BaseModel):
    """Whether the definition is in effect."""

    ready: bool
    reason: str
    message: str | None
    since: Instant


class ScheduleDelay(BaseModel):
    """The slot that is late."""

    since: Instant = Field(description="When it became late: its slot + spec.lateAfter.")
    stage: DelayStage = Field(description="Where it is stuck.")
    slot: Instant
    job: str | None = Field(description="The Kubernetes Job, where there is one.")


class ScheduleFailure(BaseModel):
    """The newest failed run, whether or not a later one has made up for it."""

    time: Instant
    reason: Reason
    message: str | None
    job: str = Field(description="The Kubernetes Job's name.")
    slot: Instant
    report_date: date | None


class MissedSlots(BaseModel):
    """The newest slots that passed without a Job, and that no Job will be made for."""

    count: int
    first: Instant
    last: Instant


class Schedule(BaseModel):
    """A ReportSchedule and what is known of its slots."""

    namespace: str
    name: str = Field(examples=["market-dashboard"])
    report_type: str
    tier: str
    priority: Priority
    schedule: str = Field(description="spec.schedule, in `time_zone`.")
    time_zone: str
    suspended: bool
    health: ScheduleHealth | None = Field(description="null until the operator has seen it.")
    ready: Ready | None = Field(description="null until the operator has seen it.")
    delay: ScheduleDelay | None
    last_failure: ScheduleFailure | None
    last_slot: Instant | None = Field(description="The newest slot that a Job was made for.")
    next_slot: Instant | None
    last_success: Instant | None = Field(description="When a run last succeeded.")
    consecutive_failures: int
    active: int = Field(description="Runs that are admitted and not finished.")
    queued: int = Field(description="Runs that wait for admission.")
    waiting_for_data: int = Field(
        description="Runs whose data were not ready, and whose next check is not due."
    )
    missed_slots: int = Field(description="Slots that have passed without a Job so far.")
    last_missed: MissedSlots | None
    acknowledged_through: Instant | None = Field(
        description="Slots up to here need no report: somebody said so."
    )
    recipients: int = Field(description="How many its mails go to.")
    owner: str | None = Field(description="As the annotation reports.adaf.io/owner says.")
    not_shown: str | None = Field(
        default=None,
        description="Fields left out because the caller has no right in the namespace.",
    )


class Schedules(BaseModel):
    """A page of schedules."""

    schedules: list[Schedule]
    total: int = Field(description="On all pages.")
    degraded: Degraded = Field(default_factory=list)
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class ScheduleProblem(BaseModel):
    """One thing that keeps readers without a report."""

    kind: ProblemKind
    reason: str = Field(description="In one word.")
    cause: str = Field(description="For a person.")
    since: Instant | None
    remedy: str = Field(description="What helps, in general.")
    command: str = Field(description="What to type next.")


class ScheduleDetail(Schedule):
    """A schedule with what is wrong with it."""

    problems: list[ScheduleProblem] = Field(description="The gravest first.")
    failing_slot: Instant | None = Field(
        description="The slot whose failure stands: what an acknowledgement has to name."
    )
    affected: str = Field(
        examples=[
            "reports/daily (positions) of the desk; 12 recipients; the last report was made "
            "2026-11-24T05:04:00Z"
        ]
    )
    degraded: Degraded
    explanation: str = Field(
        description="Cause, since when, who is affected, and the next command, as one paragraph."
    )


class AcknowledgeRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    through: QueryInstant = Field(
        description="The slot whose failure stands (`failing_slot`): it and those before need no "
        "report any more."
    )


class Acknowledged(BaseModel):
    """The operator takes it into status within seconds."""

    namespace: str
    name: str
    acknowledged_through: Instant


class ScheduleSort(StrEnum):
    """`health`: the gravest first. `last_failure`: the newest first. `delay`: the oldest first.

    `next_slot`: the soonest first. `last_success`: the one without a report for longest first.
    """

    NAME = "name"
    HEALTH = "health"
    LAST_FAILURE = "last_failure"
    DELAY = "delay"
    NEXT_SLOT = "next_slot"
    LAST_SUCCESS = "last_success"


class SchedulesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    namespace: Name | None = None
    name: Name | None = None
    report_type: Name | None = None
    tier: Name | None = None
    health: ScheduleHealth | None = None
    ready: bool | None = None
    suspended: bool | None = None
    sort: ScheduleSort = ScheduleSort.NAME
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(
        default=None, description="`next` of the page before, with the same `sort`."
    )
