"""The spec of a ReportBackfill.

Rules are written for the API server and for Python side by side, as in spec.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from report_operator.api.v1alpha1.placement import LabelKey, Labels, LabelValue
from report_operator.api.v1alpha1.spec import Tier
from report_runner.contract.model import Boolean, Identifier, Integer, Model, ObjectName
from report_runner.contract.parameters import PARAMETERS_LIMIT, ParameterValues
from report_runner.contract.rules import Rule
from report_runner.contract.schema import LIST_ATOMIC, LIST_SET, unique

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
RANGE_LIMIT = timedelta(days=366)  # from the first to the last day, both included
CONCURRENT_LIMIT = 20
MUTABLE = ("suspend", "maxConcurrent")  # fields of spec that may be changed later

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
        json_schema_extra=LIST_ATOMIC,
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
        json_schema_extra=LIST_ATOMIC,
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

    parameters: ParameterValues = Field(
        default_factory=dict,
        max_length=PARAMETERS_LIMIT,
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
        description="Values for parameters that the schedules declare "
        "(report.declaredParameters), each as a text. A run whose schedule does not declare one, "
        "or as another type, fails.",
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
