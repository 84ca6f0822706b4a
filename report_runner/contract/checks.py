"""Checks of the rows of a report, made before anything is rendered or sent."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from report_runner.contract.expression import ExpressionText
from report_runner.contract.model import Identifier, Integer, Model
from report_runner.contract.rules import Rule, bounds, exactly_one_of
from report_runner.contract.schema import LIST_SET
from report_runner.contract.schema import unique as no_doubles

CHECKS_LIMIT = 50

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Columns = Annotated[list[ColumnName], no_doubles()]


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PydanticCustomError("rule", "write a number, such as 0.5")
    return value


def _not_negative(value: Any) -> int | float:
    number = _number(value)
    if number < 0:
        raise PydanticCustomError("rule", "write a number of 0 or more")
    return number


# Written in a manifest: JSON's numbers have up to 17 digits, which become an exact decimal.
Figure = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Tolerance = Annotated[
    int | float, PlainValidator(_not_negative), WithJsonSchema({"type": "number", "minimum": 0})
]
Age = Annotated[str, StringConstraints(max_length=32), bounds("1m", "3650d")]


class Severity(StrEnum):
    """What a check that does not pass does."""

    FAIL = "fail"
    WARN = "warn"


def _ordered(message: str) -> Rule:
    return Rule(
        "!has(self.min) || !has(self.max) || self.min <= self.max",
        message,
        lambda model: model.min is None or model.max is None or model.min <= model.max,
    )


_BOUNDED = Rule(
    "has(self.min) || has(self.max)",
    "set min, max or both",
    lambda model: model.min is not None or model.max is not None,
)


class RowCount(Model):
    """How many rows there have to be."""

    rules = (_BOUNDED, _ordered("min has to be at most max"))

    min: Annotated[Integer, Field(ge=0, le=10_000_000)] | None = Field(
        default=None, description="At least so many rows."
    )
    max: Annotated[Integer, Field(ge=0, le=10_000_000)] | None = Field(
        default=None, description="At most so many rows."
    )


class ValueRange(Model):
    """Between which numbers the values of a column lie."""

    rules = (_BOUNDED, _ordered("min has to be at most max"))

    column: ColumnName = Field(description="A column of numbers. NULL is left out.")
    min: Figure | None = Field(default=None, description="The least value that is right.")
    max: Figure | None = Field(default=None, description="The greatest value that is right.")


class Freshness(Model):
    """How old the newest value of a column may be."""

    column: ColumnName = Field(description="A column of dates or times, or of ISO texts.")
    within: Age = Field(
        description="Before the run's slot, e.g. 1d, 36h. A date counts to the end of its day."
    )


class OtherSum(Model):
    """The column of another source."""

    source: Identifier = Field(description="One of report.sources.")
    column: ColumnName = Field(description="A column of numbers.")


class Reconciliation(Model):
    """Two sums that have to be the same."""

    rules = (
        Rule(
            "!has(self.tolerance) || !has(self.tolerancePercent)",
            "set tolerance or tolerancePercent, not both",
            lambda model: model.tolerance is None or model.tolerance_percent is None,
        ),
    )

    column: ColumnName = Field(description="A column of numbers. NULL is left out of the sum.")
    against: OtherSum = Field(description="The other sum.")
    tolerance: Tolerance | None = Field(
        default=None, description="How much they may differ; without it not at all."
    )
    tolerance_percent: Tolerance | None = Field(
        default=None, description="The same in percent of the other sum."
    )


class Change(Model):
    """How much a figure may differ from that of the last delivered run."""

    rules = (exactly_one_of("tolerance", "tolerance_percent"),)

    column: ColumnName | None = Field(
        default=None,
        description="The sum of a column of numbers; without it the number of rows.",
    )
    tolerance: Tolerance | None = Field(default=None, description="How much they may differ.")
    tolerance_percent: Tolerance | None = Field(
        default=None, description="The same in percent of the last run's figure."
    )


class DataCheck(Model):
    """One condition that the rows have to meet."""

    rules = (
        exactly_one_of(
            "rows", "not_null", "unique", "range", "fresh", "reconciles", "change", "expression"
        ),
        Rule(
            "has(self.source) != has(self.expression)",
            "a check names its source, unless it is an expression",
            lambda check: (check.source is None) == (check.expression is not None),
        ),
    )

    name: Identifier = Field(description="Name in messages and of the file with the rows.")
    source: Identifier | None = Field(
        default=None, description="The source whose rows are checked; not of an expression."
    )
    severity: Severity = Field(
        default=Severity.FAIL,
        description="fail: nothing is made or sent. warn: document, mail and status say so.",
    )
    rows: RowCount | None = Field(default=None, description="The number of rows.")
    not_null: Columns | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Columns without NULL. A source without rows passes.",
    )
    unique: Columns | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        json_schema_extra=LIST_SET,
        description="Columns that tell the rows apart, together. NULL counts as a value. A source "
        "without rows passes.",
    )
    range: ValueRange | None = Field(
        default=None,
        description="Bounds of a column. NaN is outside of them. A source without rows passes.",
    )
    fresh: Freshness | None = Field(
        default=None,
        description="The age of the newest value. A source without one fails the check.",
    )
    reconciles: Reconciliation | None = Field(
        default=None, description="Two sums; that of no rows is 0, and NaN is never right."
    )
    change: Change | None = Field(
        default=None,
        description="Against the last delivered run; where there is none, the check passes and "
        "says so.",
    )
    expression: ExpressionText | None = Field(
        default=None,
        description="A condition in the language of templates, such as positions | length > 0.",
    )


# Of a report with checks.
CHECK_RULES = (
    Rule(
        "!has(self.checks) || self.checks.all(c, !has(c.source) || "
        "self.sources.exists(s, s.name == c.source))",
        "every check's source has to be the name of one of report.sources",
        lambda report: (
            {c.source for c in report.checks if c.source} <= {s.name for s in report.sources}
        ),
        path="checks",
    ),
    Rule(
        "!has(self.checks) || self.checks.all(c, !has(c.reconciles) || "
        "self.sources.exists(s, s.name == c.reconciles.against.source))",
        "reconciles.against.source has to be the name of one of report.sources",
        lambda report: (
            {c.reconciles.against.source for c in report.checks if c.reconciles}
            <= {s.name for s in report.sources}
        ),
        path="checks",
    ),
)
