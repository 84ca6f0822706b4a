"""Requests for attempts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from admin_api.schemas.common import Name, ReportDate
from admin_api.schemas.jobs import Job
from report_operator.api.v1alpha1.spec import Priority
from report_runner.contract.parameters import PARAMETERS_LIMIT, ParameterValues
from report_runner.contract.resend import NAME_LIMIT, NAMES_LIMIT


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


class Attempted(Job):
    """The attempt: made now, or under way already."""

    warnings: list[str] = Field(
        default_factory=list, description="What may not be as the caller expects."
    )


Recipient = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT), AfterValidator(_printable)]
Recipients = Annotated[list[Recipient], Field(min_length=1, max_length=NAMES_LIMIT)]


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
    resend: Literal["all"] | Recipients | None = Field(
        default=None,
        description="Make the report anew and send it also to those who have it: `all`, or a list "
        "of recipients of the schedule. Without it they get no second mail.",
    )
    instead_of_slot: bool = Field(
        default=False,
        description="It takes the place of the day's next slot that is still to come: this run is "
        "that slot's, and no other one is made for it.",
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
