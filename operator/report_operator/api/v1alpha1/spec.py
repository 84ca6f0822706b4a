"""`spec` of a ReportSchedule: when, how important, and what (report_runner.contract).

A rule beyond types is written for the API server and for Python side by side; the corpus in
tests/contract holds the two together. Schedule and time zone are told to the API server by
report_operator.crd and judged by report_operator.domain.cron: the model takes any text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_operator.api.v1alpha1.placement import (
    NodeSelector,
    ResourceRequirements,
    Toleration,
)
from report_runner.contract.definition import Delivery, Output, Report
from report_runner.contract.model import (
    AttemptDuration,
    Boolean,
    Identifier,
    Integer,
    LateDuration,
    MissedDuration,
    Model,
)
from report_runner.contract.rules import Rule


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

    limit: Integer = Field(
        default=3,
        ge=0,
        le=10,
        description="Further attempts, with growing pauses; a configuration error has none.",
    )


def _attaches_what_is_written(spec: ReportScheduleSpec) -> bool:
    email = spec.delivery.email
    return email is None or set(email.attach) <= set(spec.report.formats)


class ReportScheduleSpec(Model):
    """A report, when it is due, and how it is run."""

    rules = (
        Rule(
            "!has(self.delivery) || !has(self.delivery.email) || "
            "self.delivery.email.attach.all(f, f in self.report.formats)",
            "every format to attach has to be one of report.formats",
            _attaches_what_is_written,
            path="delivery.email.attach",
        ),
    )

    report_type: Identifier = Field(
        description="Kind of report, e.g. executive_dashboard; the admin API calls it type."
    )
    tier: Tier = Field(default=Tier.STANDARD, description="critical, standard or bulk.")
    schedule: Annotated[str, StringConstraints(max_length=256)] = Field(
        description='When, as in a CronJob: five fields such as "0 6 * * 1-5", or @daily.'
    )
    time_zone: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="Etc/UTC", description="IANA name of the zone that the schedule is in."
    )
    suspend: Boolean = Field(default=False, description="True: no new runs.")
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
    node_selector: NodeSelector = Field(
        default_factory=dict,
        max_length=20,
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
        description="Labels of nodes that may run it.",
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        max_length=20,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Taints of nodes that may run it.",
    )
