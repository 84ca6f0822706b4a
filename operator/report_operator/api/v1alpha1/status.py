"""`status` of a ReportSchedule. Instants are RFC 3339 in UTC with whole seconds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from report_operator.api.v1alpha1.conditions import ConditionType
from report_runner.contract.model import Model
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

# Outside of these years no instant is meant, and arithmetic would leave datetime's range.
FIRST_YEAR, LAST_YEAR = 1900, 2199


def _whole_seconds(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"an instant lies in the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant.astimezone(UTC).replace(microsecond=0)


Instant = Annotated[
    datetime,
    AfterValidator(_whole_seconds),
    PlainSerializer(lambda instant: f"{instant:%Y-%m-%dT%H:%M:%SZ}", return_type=str),
]


class StatusModel(Model):
    """A part of a status."""

    # An older operator reads what a newer one wrote: unknown fields are not its business.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


class ScheduleHealth(StrEnum):
    """One word for a list."""

    HEALTHY = "Healthy"
    DELAYED = "Delayed"
    FAILING = "Failing"
    NOT_READY = "NotReady"


class DelayStage(StrEnum):
    """Where a late run is stuck."""

    NOT_CREATED = "NotCreated"
    QUEUED = "Queued"
    WAITING_FOR_DATA = "WaitingForData"
    PENDING = "Pending"
    RUNNING = "Running"
    RETRYING = "Retrying"
    REPLACING = "Replacing"


class BaseCondition(StatusModel):
    """As metav1.Condition; each resource has types of its own."""

    type: str
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=1024, description="One word for programs.")
    message: str = Field(max_length=32768, description="What it means and what to do.")
    last_transition_time: Instant = Field(description="When status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The generation of the spec that this was decided from."
    )


class Condition(BaseCondition):
    """Of a ReportSchedule."""

    type: ConditionType = Field(
        description="Ready, Delayed, Failing or ZoneDataDiffers; Stalled or Reconciling while "
        "it is not Ready."
    )


class LastFailure(StatusModel):
    """The failed run that stands: no report of its slot or of a newer one. Else the newest."""

    time: Instant = Field(description="When it failed.")
    reason: Reason = Field(description="Why, in one word.")
    message: str = Field(description="Why, for a person.")
    job: str = Field(description="The run's Job.")
    report_date: date | None = Field(default=None, description="The date that it reports on.")
    slot: Instant = Field(description="The instant for which it was scheduled.")


class Delay(StatusModel):
    """A slot that is late."""

    since: Instant = Field(description="When it became late: its slot + spec.lateAfter.")
    seconds: int = Field(description="Age of the slot, in steps of five minutes.")
    stage: DelayStage = Field(description="Where it is stuck.")
    slot: Instant = Field(description="The slot.")
    job: str | None = Field(default=None, description="The run's Job, if there is one.")


class PendingRun(StatusModel):
    """A run that should have started and does not."""

    slot: Instant = Field(description="The instant for which it was scheduled.")
    job: str | None = Field(
        default=None, description="The run's Job; none where that could not be made."
    )
    since: Instant = Field(description="When it was let start, or its Job was due.")
    reason: Reason = Field(description="Why, in one word.")
    message: str = Field(max_length=1000, description="Why, and what to change.")


class WaitingRun(StatusModel):
    """A run whose data were not ready when it asked (spec.report.waitFor)."""

    slot: Instant = Field(description="The instant for which it was scheduled.")
    job: str = Field(description="The run's Job.")
    since: Instant = Field(description="When it first found them not ready.")
    checks: int = Field(description="How often it has asked so far.")
    answer: str = Field(max_length=300, description="What it found the last time.")
    next_check: Instant = Field(description="When it asks again.")
    deadline: Instant = Field(description="When it asks for the last time.")


class MissedSlots(StatusModel):
    """Slots that passed without a Job, and that no Job will be made for."""

    count: int = Field(description="How many, at most 1,000 at once.")
    first: Instant = Field(description="The oldest of them.")
    last: Instant = Field(description="The newest of them.")
    at: Instant = Field(description="When that was found.")


class HandledRequest(StatusModel):
    """What became of an annotation that asks for a run."""

    value: str = Field(max_length=100, description="What the annotation said.")
    job: str | None = Field(default=None, description="The Job that answers it, if there is one.")
    message: str = Field(max_length=1000, description="What became of it.")
    at: Instant = Field(description="When that was found.")


class ActiveRun(StatusModel):
    """A run that has not ended: what is needed to say what became of it, should its Job go."""

    job: str = Field(description="The run's Job.")
    uid: str = Field(description="Uid of the Job.")
    slot: Instant = Field(description="The instant for which it was scheduled.")
    manual: bool = Field(default=False, description="Started by hand, not by the schedule.")
    backfill: str | None = Field(
        default=None,
        description="The ReportBackfill that it was part of: it says nothing about health.",
    )
    backfill_uid: str | None = Field(default=None, description="Uid of that ReportBackfill.")
    tier: str | None = Field(default=None, description="The schedule's tier then.")
    priority: str | None = Field(default=None, description="Its order in the queue.")
    requested_by: str | None = Field(default=None, description="Who asked for it, if anybody did.")
    definition: str | None = Field(default=None, description="The ConfigMap that it used.")
    overridden: bool | None = Field(
        default=None,
        description="Asked for with parameters of its own, or sent again to who had it: its Job "
        "alone says with which. Absent of runs that an older version recorded.",
    )
    created_at: Instant | None = Field(default=None, description="When its Job was made.")
    admitted_at: Instant | None = Field(default=None, description="When it was let start.")
    report_date: date | None = Field(default=None, description="The date that it reports on.")
    attempt: int = Field(default=1, description="Which explicit attempt of the slot this was.")


class RecentRun(ActiveRun):
    """The outcome of a run."""

    outcome: Outcome = Field(
        description="Succeeded, Failed, or Skipped: no report was wanted, and none was sent."
    )
    reason: Reason | None = Field(
        default=None, description="Why it failed or was skipped, in one word."
    )
    message: str = Field(default="", description="Why it failed or was skipped, for a person.")
    started_at: Instant | None = Field(default=None, description="When its pod first ran.")
    finished_at: Instant = Field(description="When it ended.")
    queued_seconds: int | None = Field(default=None, description="Waited for admission.")
    pending_seconds: int | None = Field(default=None, description="Waited for its pod to run.")
    data_wait_seconds: int | None = Field(
        default=None, description="Waited for its data, between checks and during them."
    )
    run_seconds: int | None = Field(default=None, description="Ran, all tries together.")
    rows: int | None = Field(default=None, description="Rows of all sources.")
    outputs: list[str] = Field(
        default_factory=list, description="Files, relative to the report volume."
    )
    storage_used_percent: int | None = Field(
        default=None, description="How full the report volume was when it ended."
    )
    memory_used_percent: int | None = Field(
        default=None, description="Most memory that its last try used, of its limit."
    )
    warnings: int | None = Field(
        default=None, description="Checks of its rows that did not pass, and only warn."
    )
    cache_hits: int | None = Field(
        default=None, description="Sources whose rows an earlier run had fetched."
    )
    cache_misses: int | None = Field(
        default=None, description="Sources with a cache whose rows it fetched itself."
    )


class ReportScheduleStatus(StatusModel):
    """What is observed."""

    observed_generation: int | None = Field(
        default=None, description="The generation of the spec that this status was decided from."
    )
    health: ScheduleHealth | None = Field(
        default=None, description="Healthy, Delayed, Failing or NotReady."
    )
    explanation: str | None = Field(
        default=None,
        max_length=8000,
        description="What keeps readers without a report: cause, since when, who is affected, and "
        "the next command. Absent where nothing does.",
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        description="Ready, Delayed, Failing; Stalled or Reconciling while it is not Ready.",
    )
    last_schedule_time: Instant | None = Field(
        default=None, description="The newest slot that a Job was made for."
    )
    last_success_time: Instant | None = Field(
        default=None, description="When a run last succeeded."
    )
    last_outcome: Outcome | None = Field(
        default=None, description="How the newest run ended; those of backfills do not count."
    )
    next_schedule_time: Instant | None = Field(default=None, description="The next slot.")
    last_failure: LastFailure | None = Field(
        default=None, description="The failed run that stands, else the newest."
    )
    delay: Delay | None = Field(default=None, description="The slot that is late, if one is.")
    pending: PendingRun | None = Field(
        default=None, description="The oldest run that cannot start, with what keeps it from it."
    )
    data_wait: WaitingRun | None = Field(
        default=None, description="The oldest run that waits for its data."
    )
    active: int = Field(default=0, description="Runs that are admitted and not finished.")
    queued: int = Field(default=0, description="Runs that wait for admission.")
    waiting_for_data: int = Field(
        default=0, description="Runs whose data were not ready, and whose next check is not due."
    )
    consecutive_failures: int = Field(
        default=0, description="Runs that failed since the last success."
    )
    cron_job: str | None = Field(default=None, description="The CronJob's name.")
    definition: str | None = Field(
        default=None, description="The ConfigMap with the definition that new runs use."
    )
    schedule_since: Instant | None = Field(
        default=None, description="Slots count from here: created, edited or resumed then."
    )
    handled_through: Instant | None = Field(
        default=None, description="With missedRuns.policy RunAll: slots up to here have a Job."
    )
    last_missed: MissedSlots | None = Field(
        default=None, description="The newest slots that passed without a Job."
    )
    missed_slots: int = Field(
        default=0, description="How many slots have passed without a Job so far."
    )
    unanswered_since: Instant | None = Field(
        default=None,
        description="With concurrencyPolicy Replace: the oldest slot whose run was replaced by the "
        "next, and that no report has made up for.",
    )
    acknowledged_through: Instant | None = Field(
        default=None,
        description="Slots up to here need no report: said by the annotation "
        "reports.adaf.io/acknowledged-through.",
    )
    ignored_acknowledgement: Instant | None = Field(
        default=None,
        description="What that annotation says, where it was an instant to come when it was "
        "written: it counts for nothing.",
    )
    run_request: HandledRequest | None = Field(
        default=None,
        description="What became of the annotation reports.adaf.io/run-requested-at.",
    )
    retry_request: HandledRequest | None = Field(
        default=None,
        description="What became of the annotation reports.adaf.io/retry-requested.",
    )
    active_runs: list[ActiveRun] = Field(
        default_factory=list,
        max_length=100,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"]},
        description="Runs that have not ended, oldest slot first.",
    )
    recent_runs: list[RecentRun] = Field(
        default_factory=list,
        max_length=100,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"]},
        description="The last outcomes, oldest first.",
    )
    run_counts: dict[str, int] = Field(
        default_factory=dict, description="How often each result occurred."
    )
