"""Who got which report, over all runs."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import LIST_LIMIT, Degraded, Instant, Name, QueryInstant
from report_runner.contract.result import DeliveryStatus


class RunDelivery(BaseModel):
    """The delivery to one recipient, or of one file to one place, in one attempt of a slot."""

    finished_at: Instant = Field(description="When its run ended.")
    namespace: str
    schedule: str
    slot: Instant
    report_date: date | None = None
    job_id: str
    attempt: int
    channel: str = Field(examples=["email", "upload"])
    recipient: str = Field(examples=["board@example.com", "portal:positions/2026-11-24.pdf"])
    status: DeliveryStatus
    message_id: str | None = Field(
        default=None, description="What the other side's log has: the Message-ID of a mail."
    )
    error: str | None = None


class Deliveries(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[RunDelivery]
    degraded: Degraded = Field(default_factory=list)
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class DeliveriesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipient: Name | None = Field(
        default=None, description="An address, or PLACE:PATH of an upload; case is ignored."
    )
    channel: Name | None = None
    status: DeliveryStatus | None = None
    namespace: Name | None = None
    schedule: Name | None = Field(default=None, description="The ReportSchedule's name.")
    since: QueryInstant | None = Field(default=None, description="With a zone.")
    until: QueryInstant | None = Field(default=None, description="With a zone.")
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")
