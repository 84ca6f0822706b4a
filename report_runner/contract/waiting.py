"""`spec.report.waitFor`: a run that waits until its data are ready."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from pydantic import Field

from report_runner.contract.expression import ExpressionText, parse_expression, unknown_name
from report_runner.contract.format_options import DATA_FORMATS
from report_runner.contract.model import Boolean, Identifier, Model, WaitDuration
from report_runner.contract.rules import Rule, at_least, parse_duration


class OnDeadline(StrEnum):
    """What becomes of a run whose data are not ready at the deadline."""

    FAIL = "Fail"
    SKIP = "Skip"
    SEND_MARKED = "SendMarked"


def _absent(value: object) -> bool:
    return not value


class WaitFor(Model):
    """When the data of a report are ready, and how long a run waits for them."""

    rules = (
        Rule(
            at_least("self.deadline", "self.every"),
            "deadline has to be at least as long as every",
            lambda wait: parse_duration(wait.deadline) >= parse_duration(wait.every),
            path="deadline",
        ),
    )

    source: Identifier = Field(description="The one of report.sources that is asked.")
    until: ExpressionText = Field(
        description="What is true of the source when its data are ready: an expression in the "
        "language of templates over the source's name, such as positions | length > 0."
    )
    exclude_source: Boolean | None = Field(
        default=None,
        exclude_if=_absent,  # definitions from before this field stay the same
        description="Whether the source is there to be asked alone: then its rows are no part of "
        "the report, and nothing but until may name it.",
    )
    every: WaitDuration = Field(
        default="5m",
        description="Time between two checks. From the sixth check on it is ten minutes at least: "
        "the Job controller of Kubernetes makes no further pod sooner.",
    )
    deadline: WaitDuration = Field(
        default="2h",
        description="How long after the slot, or the business day that it was moved to, the data "
        "may come. There is one more check then; a run for an older date has that one alone.",
    )
    on_deadline: OnDeadline = Field(
        default=OnDeadline.FAIL,
        description="When they are not ready then. Fail: the run fails with DataNotReady. Skip: "
        "there is no report, and that is no failure. SendMarked: the report is made of what is "
        "there, and says so.",
    )


def _named_sources(report: Any) -> set[str]:
    """The sources that something of the report names, but for expressions and queries."""
    named = {chart.source for chart in report.charts}
    for check in report.checks:
        named |= {check.source} if check.source else set()
        named |= {check.reconciles.against.source} if check.reconciles else set()
    if report.only_if_changed is not None:
        named |= set(report.only_if_changed.sources)
    for name in DATA_FORMATS:
        named |= set(report.sources_of(name) or ())
    return named


_EXCLUDES = (
    "!has(self.waitFor) || !has(self.waitFor.excludeSource) || !self.waitFor.excludeSource || "
)
_NOT_NAMED = (
    "(!has(self.charts) || self.charts.all(c, c.source != self.waitFor.source))",
    "(!has(self.checks) || self.checks.all(c, "
    "(!has(c.source) || c.source != self.waitFor.source) && "
    "(!has(c.reconciles) || c.reconciles.against.source != self.waitFor.source)))",
    "(!has(self.onlyIfChanged) || !(self.waitFor.source in self.onlyIfChanged.sources))",
    *(
        f"(!has(self.formatOptions) || !has(self.formatOptions.{name}) || "
        f"!has(self.formatOptions.{name}.sources) || "
        f"!(self.waitFor.source in self.formatOptions.{name}.sources))"
        for name in DATA_FORMATS
    ),
)

# Of a report with waitFor.
WAIT_RULES = (
    Rule(
        "!has(self.waitFor) || self.sources.exists(s, s.name == self.waitFor.source)",
        "waitFor.source has to be the name of one of report.sources",
        lambda report: (
            report.wait_for is None
            or report.wait_for.source in {source.name for source in report.sources}
        ),
        path="waitFor.source",
    ),
    Rule(
        f"{_EXCLUDES}self.sources.exists(s, s.name != self.waitFor.source)",
        "waitFor.excludeSource leaves no source for the report: declare another one",
        lambda report: {source.name for source in report.sources} != {report.excluded_source()},
        path="waitFor.excludeSource",
    ),
    Rule(
        f"{_EXCLUDES}({' && '.join(_NOT_NAMED)})",
        "waitFor.excludeSource leaves the source out of the report: charts, checks, onlyIfChanged "
        "and formatOptions cannot name it",
        lambda report: report.excluded_source() not in _named_sources(report),
        path="waitFor.excludeSource",
    ),
    Rule(
        f"{_EXCLUDES}self.sources.all(s, s.name != self.waitFor.source || !has(s.cache))",
        "a source that is only waited for is read anew by each check: take its cache out",
        lambda report: all(
            source.cache is None
            for source in report.sources
            if source.name == report.excluded_source()
        ),
        path="waitFor.excludeSource",
    ),
)


def until_problem(wait: WaitFor, parameters: Collection[str]) -> str | None:
    """The first name in `until` that a run does not have; None where all are known."""
    problem = unknown_name(parse_expression(wait.until), [wait.source], parameters)
    if problem is None:
        return None
    return f"{problem} (of the sources it knows the one that it waits for)"
