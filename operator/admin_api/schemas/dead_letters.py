"""Dead letters: slots whose newest attempt failed for good."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import LIST_LIMIT, Instant, JobId, QueryInstant
from admin_api.schemas.jobs import Job

RETRY_LIMIT = 100  # in one call


class DeadLetters(BaseModel):
    """A page, the newest failure first; each is the newest attempt of its slot."""

    dead_letters: list[Job]
    total: int = Field(description="On all pages.")
    cleared_through: Instant | None = Field(
        default=None, description="Failures until then were taken off the list by a person."
    )
    cleared_by: str | None = Field(
        default=None, description="Who did that; Redis does not say who deletes its list."
    )
    cleared_at: Instant | None = Field(default=None, description="When that was, or was noticed.")
    next: str | None = Field(
        default=None, description="`cursor` of the next page, if there is one."
    )


class DeadLettersQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    report_type: str | None = None
    limit: int = Field(default=100, ge=1, le=LIST_LIMIT)
    cursor: str | None = Field(default=None, description="`next` of the page before.")


class RetryThese(BaseModel):
    """Retry the dead letters with these ids."""

    model_config = ConfigDict(extra="forbid")

    ids: list[JobId] = Field(min_length=1, max_length=RETRY_LIMIT)


class RetryAll(BaseModel):
    """Retry the oldest dead letters, up to the limit of one call."""

    model_config = ConfigDict(extra="forbid")

    all: Literal[True]


class Refusal(BaseModel):
    """A dead letter that is not retried."""

    id: str
    reason: str


class Retried(BaseModel):
    """The result of a retry."""

    jobs: list[Job] = Field(description="The attempts: made now, or already under way.")
    refused: list[Refusal]
    left: int = Field(description=f"With `all`: dead letters beyond the first {RETRY_LIMIT}.")


class ClearRequest(BaseModel):
    """Which failures to clear."""

    model_config = ConfigDict(extra="forbid")

    through: QueryInstant | None = Field(
        default=None,
        description="The newest `failed_at` that you have seen: what failed later stays. Without "
        "it all dead letters are cleared.",
    )


class Cleared(BaseModel):
    """What was taken off the list; the runs themselves stay failed."""

    cleared: int
    through: Instant | None = Field(description="The newest failure among them.")
