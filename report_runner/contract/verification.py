"""What a later look at the deliveries of a slot found: the termination message of its pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import Field, ValidationError

from report_runner.contract.model import Model
from report_runner.contract.pod import TERMINATION_LOG_LIMIT
from report_runner.contract.result import Count

VERIFIED_TEXT_LIMIT = 300  # characters


class Verdict(StrEnum):
    """Whether what was sent to one target is there as it was sent."""

    CHANGED = "changed"  # something else is there
    MISSING = "missing"  # nothing is there
    UNREACHABLE = "unreachable"  # the place could not be read: nothing is known of the file
    NOT_VERIFIABLE = "notVerifiable"  # mail, and places that show nothing or are others now
    UNCHANGED = "unchanged"


class VerifiedDelivery(Model):
    """One recipient, or one file at one place; `message` is for a person."""

    channel: str
    recipient: str
    verdict: Verdict
    message: str = ""
    sent_at: datetime | None = None
    message_id: str | None = None


class VerificationResult(Model):
    """`deliveries` are the gravest first, as many as there is room for; `counts` are of all."""

    message: str = ""  # where nothing could be looked at: why
    counts: dict[str, Count] = Field(default_factory=dict)
    deliveries: list[VerifiedDelivery] = Field(default_factory=list)


def verification_of(found: Sequence[VerifiedDelivery]) -> VerificationResult:
    """The result, in the order of Verdict."""
    order = list(Verdict)
    ordered = sorted(found, key=lambda item: (order.index(item.verdict), item.recipient))
    counts = Counter(item.verdict.value for item in ordered)
    return VerificationResult(counts=dict(counts), deliveries=ordered)


def dump_verification(result: VerificationResult, limit: int = TERMINATION_LOG_LIMIT) -> str:
    """JSON of at most `limit` bytes: what does not fit is in the counts alone."""
    kept = len(result.deliveries)
    while True:
        cut = result.model_copy(update={"deliveries": result.deliveries[:kept]})
        text = cut.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)
        if len(text.encode()) <= limit or kept == 0:
            return text
        kept -= max(kept // 8, 1)


def parse_verification(text: str | None) -> VerificationResult | None:
    """The result in a termination message; None where it is missing or not valid."""
    try:
        return VerificationResult.model_validate_json(text) if text else None
    except ValidationError:
        return None
