"""ReportBackfill: runs for the slots of past dates, asked for once and worked off behind the queue.

Rules are written for the API server and for Python side by side, as in spec.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from report_operator.api.v1alpha1.conditions import BackfillConditionType
from report_operator.api.v1alpha1.placement import LabelKey, Labels, LabelValue
from report_operator.api.v1alpha1.problems import describe
from report_operator.api.v1alpha1.resource import SpecError
from report_operator.api.v1alpha1.spec import Tier
from report_operator.api.v1alpha1.status import BaseCondition, Instant, StatusModel
from report_runner.contract.definition import LIST_SET, list_map, unique
from report_runner.contract.model import Boolean, Identifier, Integer, Model, ObjectName
from report_runner.contract.reasons import Reason
from report_runner.contract.rules import Rule

KIND = "ReportBackfill"
PLURAL = "reportbackfills"
SINGULAR = "reportbackfill"
SHORT_NAMES = ("rbf",)

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
RANGE_LIMIT = timedelta(days=366)  # from the first to the last day, both included
CONCURRENT_LIMIT = 20
WOULD_RUN_LIMIT = 100
FAILURES_LIMIT = 10
MUTABLE = ("suspend", "maxConcurrent")  # fields of spec that may be changed later

_ATOMIC: JsonDict = {"x-kubernetes-list-type": "atomic"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _read_day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("write a date that exists as YYYY-MM-DD, in quotes, such as '2026-11-24'")


Day = Annotated[
    date,
    BeforeValidator(_read_day),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "maxLength": 10}),
]


class Reprocess(StrEnum):
    """Which slots get a run."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class SelectorOperator(StrEnum):
    """As in a Kubernetes label selector."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


def _has_values_as_needed(expression: LabelExpression) -> bool:
    wants = expression.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
    return wants == bool(expression.values)


class LabelExpression(Model):
    """One requirement of a selector."""

    rules = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "In and NotIn need values; Exists and DoesNotExist take none",
            _has_values_as_needed,
            path="values",
        ),
    )

    key: LabelKey = Field(description="The label.")
    operator: SelectorOperator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: list[LabelValue] = Field(
        default_factory=list,
        max_length=20,
        json_schema_extra=_ATOMIC,
        description="Of In and NotIn.",
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds of an object with these labels."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return labels.get(self.key) not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


def _selects_something(selector: Selector) -> bool:
    return bool(selector.match_labels or selector.match_expressions)


class Selector(Model):
    """Labels of ReportSchedules; every requirement has to hold."""

    rules = (
        Rule(
            "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
            "(has(self.matchExpressions) && size(self.matchExpressions) > 0)",
            "an empty selector would mean every schedule: write everySchedule: true for that",
            _selects_something,
        ),
    )

    match_labels: Labels = Field(
        default_factory=dict,
        max_length=20,
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
        description="Labels with exactly these values.",
    )
    match_expressions: list[LabelExpression] = Field(
        default_factory=list,
        max_length=20,
        json_schema_extra=_ATOMIC,
        description="Further requirements.",
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(name) == value for name, value in self.match_labels.items()) and all(
            expression.matches(labels) for expression in self.match_expressions
        )


def _names(spec: ReportBackfillSpec) -> bool:
    return bool(spec.report_types or spec.tiers or spec.schedules or spec.selector)


_NAMES = (
    "(has(self.reportTypes) && size(self.reportTypes) > 0) || "
    "(has(self.tiers) && size(self.tiers) > 0) || "
    "(has(self.schedules) && size(self.schedules) > 0) || has(self.selector)"
)


class ReportBackfillSpec(Model):
    """Which dates of which schedules, and how."""

    rules = (
        Rule(
            f"self.startDate >= timestamp('{FIRST_DAY}T00:00:00Z') && "
            f"self.endDate <= timestamp('{LAST_DAY}T00:00:00Z')",
            f"write dates from {FIRST_DAY} to {LAST_DAY}",
            lambda spec: spec.start_date >= FIRST_DAY and spec.end_date <= LAST_DAY,
        ),
        Rule(
            "self.endDate >= self.startDate",
            "endDate lies before startDate",
            lambda spec: spec.end_date >= spec.start_date,
            path="endDate",
        ),
        Rule(
            f"self.endDate - self.startDate < duration('{RANGE_LIMIT.days * 24}h')",
            f"a backfill spans at most {RANGE_LIMIT.days} days: split the range",
            lambda spec: spec.end_date - spec.start_date < RANGE_LIMIT,
            path="endDate",
        ),
        Rule(
            f"self.everySchedule || {_NAMES}",
            "say which schedules are meant with reportTypes, tiers, schedules or selector, or "
            "write everySchedule: true",
            lambda spec: spec.every_schedule or _names(spec),
        ),
        Rule(
            f"!self.everySchedule || !({_NAMES})",
            "everySchedule stands alone: remove it, or reportTypes, tiers, schedules and selector",
            lambda spec: not (spec.every_schedule and _names(spec)),
            path="everySchedule",
        ),
    )

    start_date: Day = Field(description="The first day, in each schedule's own time zone.")
    end_date: Day = Field(
        description="The last day, included. Slots that are still to come are left to the schedule."
    )
    report_types: Annotated[list[Identifier], unique()] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Schedules with one of these values of spec.reportType. Of reportTypes, tiers, "
        "schedules and selector each adds schedules of this namespace.",
    )
    tiers: Annotated[list[Tier], unique()] = Field(
        default_factory=list,
        max_length=len(Tier),
        json_schema_extra=LIST_SET,
        description="Schedules with one of these values of spec.tier.",
    )
    schedules: Annotated[list[ObjectName], unique()] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Schedules with one of these names.",
    )
    selector: Selector | None = Field(default=None, description="Schedules with such labels.")
    every_schedule: Boolean = Field(
        default=False, description="true: every schedule of this namespace."
    )
    reprocess: Reprocess = Field(
        default=Reprocess.MISSING,
        description="missing: slots without a successful run. failed: those that were tried and "
        "never succeeded. all: every slot.",
    )
    max_concurrent: Integer = Field(
        default=2,
        ge=1,
        le=CONCURRENT_LIMIT,
        description="Runs of it that wait or run at once. May be changed.",
    )
    dry_run: Boolean = Field(
        default=False, description="true: say in status.wouldRun what would run, and run nothing."
    )
    suspend: Boolean = Field(
        default=False, description="true: no further runs are made. May be changed."
    )

    def selects(self, name: str, schedule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
        """Whether a ReportSchedule with this name, spec (as JSON) and labels is meant."""
        return (
            self.every_schedule
            or name in self.schedules
            or schedule.get("reportType") in self.report_types
            or schedule.get("tier", Tier.STANDARD) in self.tiers
            or (self.selector is not None and self.selector.matches(labels))
        )


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

    type: BackfillConditionType = Field(description="Ready or Complete.")


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
        description="Ready, Complete.",
    )
    total: int | None = Field(
        default=None, description="Slots of the range; absent until they are known."
    )
    done: int = Field(default=0, description="Runs that succeeded.")
    failed: int = Field(default=0, description="Runs that failed.")
    running: int = Field(default=0, description="Runs that are made and have not ended.")
    skipped: int = Field(
        default=0,
        description="Slots that need no run by spec.reprocess, or whose schedule was deleted.",
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
        json_schema_extra=_ATOMIC,
        description="The newest failures, oldest first.",
    )
    would_run: list[BackfillRun] = Field(
        default_factory=list,
        max_length=WOULD_RUN_LIMIT,
        json_schema_extra=_ATOMIC,
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


def parse_backfill_spec(body: Mapping[str, Any]) -> ReportBackfillSpec:
    """The API server's JSON → its spec. Raises SpecError."""
    try:
        return ReportBackfillSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise SpecError(describe(error, "spec", ReportBackfillSpec)) from error


def parse_backfill_status(body: Mapping[str, Any]) -> ReportBackfillStatus:
    """The status; an empty one where there is none yet. Raises ValidationError.

    One that cannot be read is no empty one: what was counted would be counted again.
    """
    return ReportBackfillStatus.model_validate(body.get("status") or {})
