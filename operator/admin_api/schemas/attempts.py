"""Requests for attempts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Name, ReportDate
from admin_api.schemas.jobs import Job
from report_operator.api.v1alpha1.spec import Priority
from report_runner.contract.parameters import PARAMETERS_LIMIT, ParameterValues


class Attempted(Job):
    """The attempt: made now, or under way already."""

    warnings: list[str] = Field(
        default_factory=list, description="What may not be as the caller expects."
    )


class GenerateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Name = Field(examples=["executive_dashboard"], description="spec.reportType.")
    date: ReportDate
    priority: Priority | None = Field(
        default=None,
        description="That of the schedule where it is left out. A higher one than that of the "
        "attempt that waits already raises it.",
    )
    namespace: Name | None = Field(
        default=None, description="Required where several schedules have the type."
    )
    schedule: Name | None = Field(
        default=None, description="Required where several schedules have the type."
    )
    # Left out where there are none: keys that were sent before this field still match.
    parameters: ParameterValues = Field(
        default_factory=dict,
        max_length=PARAMETERS_LIMIT,
        exclude_if=lambda given: not given,
        examples=[{}],
        description="Values for parameters that the schedule declares "
        "(spec.report.declaredParameters), each as a text.",
    )
