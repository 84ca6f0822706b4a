"""The definition of a report: the part of a ReportSchedule that the runner needs.

Each field is declared here once: the operator composes its custom resource from these models
(and generates the CRD from them), the runner reads the same models from its ConfigMap.
A rule beyond types is written for the API server and for Python side by side (contract.rules);
the contract corpus holds the two together.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from report_runner.contract.datefilters import Holidays
from report_runner.contract.days_off import DaysOff
from report_runner.contract.delivery import Delivery
from report_runner.contract.model import Model, RetentionDuration, SecretUse
from report_runner.contract.report import Report


class Output(Model):
    """The files on the report volume."""

    retention: RetentionDuration = Field(
        default="7d",
        description="Later runs remove files this long after a run made them or delivered them "
        "again, whatever their report date.",
    )


class Definition(Model):
    """All that one run needs, frozen: the content of the run's ConfigMap."""

    version: Literal[1] = 1
    namespace: str
    name: str
    uid: str
    report_type: str
    time_zone: str
    report: Report
    delivery: Delivery = Field(default_factory=Delivery)
    output: Output = Field(default_factory=Output)
    # The text behind report.template.configMapRef as it was when the definition was made.
    template_text: str | None = None
    # The days of spec.calendar, for filters of business days.
    calendar: DaysOff | None = None

    @property
    def holidays(self) -> Holidays:
        """The days that are no business days beside Saturdays and Sundays."""
        return self.calendar if self.calendar is not None else frozenset()

    def secret_names(self) -> list[str]:
        """The Secrets to mount, sorted, each once."""
        return sorted({use.name for use in secret_refs(self.report, self.delivery)})


def secret_refs(report: Report, delivery: Delivery) -> list[SecretUse]:
    """Every Secret that a report or its delivery names, with its field."""
    return [*report.secret_refs("spec.report"), *delivery.secret_refs("spec.delivery")]
