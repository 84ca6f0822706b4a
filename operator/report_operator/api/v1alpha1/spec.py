"""`spec` of a ReportSchedule: when, how important, and what (report_runner.contract).

Rules that span fields stand twice, side by side: for the API server (CEL) and for Python. The
corpus in tests/contract holds them together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from report_runner.contract.definition import Delivery, Output, Report, rules
from report_runner.contract.model import (
    AttemptDuration,
    Identifier,
    LateDuration,
    MissedDuration,
    Model,
)

QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
Quantity = Annotated[str, StringConstraints(pattern=QUANTITY_PATTERN, max_length=32)]
ResourceName = Literal["cpu", "memory", "ephemeral-storage"]

ATTACH_FORMATS = "delivery.email.attach: every format has to be one of report.formats"


class Tier(StrEnum):
    """How much depends on it: alert severity, and a group for backfill."""

    CRITICAL = "critical"
    STANDARD = "standard"
    BULK = "bulk"


class Priority(StrEnum):
    """Order in the queue."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class ConcurrencyPolicy(StrEnum):
    """As a CronJob's."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class MissedRunsPolicy(StrEnum):
    """What becomes of slots that passed while the cluster could not start them."""

    RUN_LATEST = "RunLatest"
    RUN_ALL = "RunAll"
    SKIP = "Skip"


class MissedRuns(Model):
    """Slots that were missed."""

    start_within: MissedDuration = Field(
        default="2h", description="A slot older than this is not started any more, e.g. 2h."
    )
    policy: MissedRunsPolicy = Field(
        default=MissedRunsPolicy.RUN_LATEST,
        description="RunLatest: the newest missed slot. RunAll: every one. Skip: none.",
    )


class Retry(Model):
    """After a failed attempt."""

    limit: int = Field(
        default=3,
        ge=0,
        le=10,
        description="Further attempts, with growing pauses; a configuration error has none.",
    )


class ResourceRequirements(Model):
    """As in a pod: cpu, memory, ephemeral-storage."""

    requests: dict[ResourceName, Quantity] = Field(
        default_factory=dict, max_length=3, description="Reserved for the run, e.g. memory: 256Mi."
    )
    limits: dict[ResourceName, Quantity] = Field(
        default_factory=dict, max_length=3, description="A run that uses more memory is killed."
    )


class Toleration(Model):
    """As in a pod."""

    key: Annotated[str, StringConstraints(max_length=316)] | None = Field(
        default=None, description="Taint key; all keys where it is left out."
    )
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="Exists or Equal.")
    value: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="Taint value, for Equal."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; all effects where it is left out."
    )
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is tolerated."
    )


class ReportScheduleSpec(Model):
    """A report, when it is due, and how it is run."""

    model_config = rules(
        (
            "!has(self.delivery) || !has(self.delivery.email) || "
            "self.delivery.email.attach.all(f, f in self.report.formats)",
            ATTACH_FORMATS,
        ),
    )

    report_type: Identifier = Field(
        description="Kind of report, e.g. executive_dashboard; the admin API calls it type."
    )
    tier: Tier = Field(default=Tier.STANDARD, description="critical, standard or bulk.")
    schedule: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description='When, as in a CronJob: five fields such as "0 6 * * 1-5", or @daily.'
    )
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        default="Etc/UTC", description="IANA name of the zone that the schedule is in."
    )
    suspend: bool = Field(default=False, description="True: no new runs.")
    priority: Priority = Field(default=Priority.NORMAL, description="Order in the queue.")
    late_after: LateDuration = Field(
        default="30m", description="A slot without a delivered report after this time is delayed."
    )
    missed_runs: MissedRuns = Field(
        default_factory=MissedRuns, description="What to do with missed slots."
    )
    concurrency_policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description="When the last run still goes: Allow both, Forbid or Replace.",
    )
    timeout: AttemptDuration = Field(default="20m", description="One attempt may take this long.")
    retry: Retry = Field(default_factory=Retry, description="Further attempts.")
    report: Report = Field(description="What is in it.")
    delivery: Delivery = Field(default_factory=Delivery, description="Where it goes.")
    output: Output = Field(default_factory=Output, description="Files on the report volume.")
    resources: ResourceRequirements | None = Field(
        default=None, description="Of the run's pod; the operator has defaults."
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, max_length=20, description="Labels of nodes that may run it."
    )
    tolerations: list[Toleration] = Field(
        default_factory=list, max_length=20, description="Taints of nodes that may run it."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        email = self.delivery.email
        if email and not set(email.attach) <= set(self.report.formats):
            raise ValueError(ATTACH_FORMATS)
        return self
