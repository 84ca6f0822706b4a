"""`spec` of a ReportSchedule: when, how important, and what (report_runner.contract).

A rule beyond types is written for the API server and for Python side by side; the corpus in
tests/contract holds the two together. Schedule and time zone are told to the API server by
report_operator.crd.generator and judged by report_operator.domain.cron.schedule: the model takes
any text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from report_operator.api.v1alpha1.calendar import Calendar, OnHoliday
from report_operator.api.v1alpha1.placement import (
    Labels,
    ResourceRequirements,
    Toleration,
)
from report_runner.contract.definition import Output
from report_runner.contract.delivery import Delivery
from report_runner.contract.model import (
    AttemptDuration,
    Boolean,
    Identifier,
    Integer,
    LateDuration,
    MissedDuration,
    Model,
)
from report_runner.contract.report import Report
from report_runner.contract.rules import Rule, matches
from report_runner.contract.schema import LIST_ATOMIC


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
        description="Further tries of a run, with growing pauses. A configuration error, data that "
        "were not ready by their deadline and a damaged database have none.",
    )


def _attaches_what_is_written(spec: ReportScheduleSpec) -> bool:
    email = spec.delivery.email
    return email is None or set(email.attach) <= set(spec.report.formats)


def _keeps_runs_of_other_days(spec: ReportScheduleSpec) -> bool:
    leaves_out = spec.calendar is not None and spec.calendar.on_holiday is not OnHoliday.RUN
    return not leaves_out or spec.concurrency_policy is not ConcurrencyPolicy.REPLACE


def _uploads_what_is_written(spec: ReportScheduleSpec) -> bool:
    places = spec.delivery.upload.to if spec.delivery.upload else []
    return {wanted for place in places for wanted in place.formats} <= set(spec.report.formats)


def _keeps_its_place(spec: ReportScheduleSpec) -> bool:
    return spec.queue_name is None or spec.report.wait_for is None


# It becomes a label's value.
QueueName = Annotated[
    str,
    StringConstraints(max_length=63),
    matches(
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "write the name of a LocalQueue: lower case letters, digits and '-'",
    ),
]


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
        Rule(
            "!has(self.calendar) || self.calendar.onHoliday == 'Run' || "
            "self.concurrencyPolicy != 'Replace'",
            "a calendar that leaves out days takes concurrencyPolicy Forbid or Allow: Replace "
            "deletes a run for that of a day off, and one that waits for its day",
            _keeps_runs_of_other_days,
            path="calendar.onHoliday",
        ),
        Rule(
            "!has(self.delivery) || !has(self.delivery.upload) || self.delivery.upload.to.all(p, "
            "!has(p.formats) || p.formats.all(f, f in self.report.formats))",
            "every format to upload has to be one of report.formats",
            _uploads_what_is_written,
            path="delivery.upload.to",
        ),
        Rule(
            "!has(self.queueName) || !has(self.report.waitFor)",
            "a run that waits for its data gives its place back between two checks, and Kueue "
            "would give it another at once: leave out queueName or report.waitFor",
            _keeps_its_place,
            path="queueName",
        ),
    )

    report_type: Identifier = Field(
        description="Kind of report, e.g. executive_dashboard; the admin API calls it type."
    )
    tier: Tier = Field(
        default=Tier.STANDARD,
        description="How much depends on it: the severity of its alerts, and a group to backfill.",
    )
    schedule: Annotated[str, StringConstraints(max_length=256)] = Field(
        description="When, as in a CronJob: minute, hour, day of month, month and weekday, such as "
        '"0 6 * * 1-5", or one of @hourly, @daily, @weekly, @monthly, @yearly, @every 1h.'
    )
    time_zone: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="Etc/UTC", description="IANA name of the schedule's zone, e.g. Europe/Madrid."
    )
    calendar: Calendar | None = Field(
        default=None, description="Days on which slots get no run, or get it later."
    )
    suspend: Boolean = Field(default=False, description="true: no new runs are started.")
    priority: Priority = Field(default=Priority.NORMAL, description="Order in the queue.")
    queue_name: QueueName | None = Field(
        default=None,
        description="LocalQueue of Kueue, in the same namespace, that decides when runs start: "
        "its quotas count instead of the operator's limits. For clusters with Kueue.",
    )
    late_after: LateDuration = Field(
        default="30m", description="A slot whose report is not delivered by then is delayed."
    )
    missed_runs: MissedRuns = Field(
        default_factory=MissedRuns, description="What to do with missed slots."
    )
    concurrency_policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description="When the run before still goes: Allow both, Forbid the new one, or Replace "
        "the old one.",
    )
    timeout: AttemptDuration = Field(default="20m", description="One try may take this long.")
    retry: Retry = Field(default_factory=Retry, description="What to do after a failed attempt.")
    report: Report = Field(description="What is in the report, and how it looks.")
    delivery: Delivery = Field(
        default_factory=Delivery, description="Where the finished report goes."
    )
    output: Output = Field(default_factory=Output, description="Files on the report volume.")
    resources: ResourceRequirements | None = Field(
        default=None,
        description="CPU, memory and scratch space of the run's pod; of what is left out, the "
        "operator's.",
    )
    node_selector: Labels = Field(
        default_factory=dict,
        max_length=20,
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
        description="Labels of nodes that may run it.",
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        max_length=20,
        json_schema_extra=LIST_ATOMIC,
        description="Taints of nodes that may run it.",
    )
