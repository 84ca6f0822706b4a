"""Whether what was sent is still there as it was sent."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Instant, Name
from report_operator.domain.runs.verification import VerificationState
from report_runner.contract.verification import Verdict


class VerifyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    job_id: Name = Field(
        description="A run of the slot: what all attempts of the slot have sent is looked at."
    )


class VerifiedDelivery(BaseModel):
    """One recipient, or one file at one place."""

    channel: str = Field(examples=["upload", "email"])
    recipient: str = Field(examples=["portal:positions/2026-11-24.pdf"])
    verdict: Verdict = Field(
        description="unchanged, changed (something else is there), missing (nothing is there), "
        "unreachable (the place could not be read), notVerifiable (mail, and places that show "
        "nothing or are others now)."
    )
    message: str = ""
    sent_at: Instant | None = None
    message_id: str | None = Field(
        default=None, description="What the other side's log has: the Message-ID of a mail."
    )


class Verification(BaseModel):
    """A look at what a slot has sent. It is no run, and sends nothing."""

    job_id: str
    namespace: str
    schedule: str
    slot: Instant
    report_date: date
    state: VerificationState = Field(
        description="starting, running, done, or failed: then nothing is said of what was sent."
    )
    message: str = ""
    requested_by: str
    requested_at: Instant
    finished_at: Instant | None = None
    job: str = Field(description="The Kubernetes Job that looks; it is kept for an hour.")
    counts: dict[str, int] = Field(
        default_factory=dict, description="Deliveries by verdict: all of the slot."
    )
    deliveries: list[VerifiedDelivery] = Field(
        default_factory=list, description="The gravest first, as many as the answer has room for."
    )
