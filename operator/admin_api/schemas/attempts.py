"""Requests for attempts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Name, ReportDate
from report_operator.api.v1alpha1.spec import Priority


class GenerateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Name = Field(examples=["executive_dashboard"], description="spec.reportType.")
    date: ReportDate
    priority: Priority = Priority.NORMAL
    namespace: Name | None = Field(
        default=None, description="Required where several schedules have the type."
    )
    schedule: Name | None = Field(
        default=None, description="Required where several schedules have the type."
    )
