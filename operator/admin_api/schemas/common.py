"""Types that several schemas share.

Instants are RFC 3339 in UTC, durations in seconds unless a name says else.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

from report_operator.domain.times import format_time

LIST_LIMIT = 500

Instant = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str)]


def _text_like(pattern: str, example: str) -> BeforeValidator:
    """Accepts text of this form only: pydantic would read numbers as seconds since 1970."""
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if (isinstance(value, str) and not compiled.match(value)) or isinstance(value, int | float):
            raise ValueError(f"write it as {example}")
        return value

    return BeforeValidator(check)


def _sendable(text: str) -> str:
    if not text.isascii() and text.encode(errors="ignore").decode() != text:
        raise ValueError("half of a surrogate pair is not a character")
    return text


def _after_1969(day: date) -> date:
    if day < FIRST_DATE:
        raise ValueError(f"{day} is before {FIRST_DATE}, the earliest date allowed")
    return day


FIRST_DATE = date(1970, 1, 1)  # slots are counted from there; an older date is a typing error
ReportDate = Annotated[
    date, _text_like(r"\d{4}-\d\d-\d\d$", "2026-11-24"), AfterValidator(_after_1969)
]
Name = Annotated[str, Field(max_length=253), AfterValidator(_sendable)]
JobId = Annotated[str, Field(max_length=400), AfterValidator(_sendable)]
QueryInstant = Annotated[AwareDatetime, _text_like(r"\d{4}-\d\d-\d\d", "2026-11-24T05:00:00Z")]
Degraded = Annotated[list[str], Field(description="What is missing from this answer, and why.")]


class Nothing(BaseModel):
    """No query parameters."""

    model_config = ConfigDict(extra="forbid")


NoQuery = Annotated[Nothing, Query()]
