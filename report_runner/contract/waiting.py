"""`spec.report.waitFor`: a run that waits until its data are ready."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from pydantic import Field

from report_runner.contract.expression import ExpressionText, parse_expression, unknown_name
from report_runner.contract.model import Identifier, Model, WaitDuration
from report_runner.contract.rules import Rule, at_least, parse_duration


class OnDeadline(StrEnum):
    """What becomes of a run whose data are not ready at the deadline."""

    FAIL = "Fail"
    SKIP = "Skip"
    SEND_MARKED = "SendMarked"


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
)


def until_problem(wait: WaitFor, parameters: Collection[str]) -> str | None:
    """The first name in `until` that a run does not have; None where all are known."""
    problem = unknown_name(parse_expression(wait.until), [wait.source], parameters)
    if problem is None:
        return None
    return f"{problem} (of the sources it knows the one that it waits for)"
