"""Failures and run times over a period."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Degraded, Instant


class Period(StrEnum):
    """A time span that ends now."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


class PeriodQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    period: Period = Period.WEEK


class HourRate(BaseModel):
    """An hour of the day, UTC."""

    hour: int = Field(ge=0, le=23)
    runs: int
    failures: int
    rate: float = Field(description="Share of failed runs, 0 to 1; 0 without runs.")


class FailedType(BaseModel):
    """A report type that failed."""

    report_type: str
    runs: int
    failures: int
    rate: float


class ErrorPattern(BaseModel):
    """Failures whose messages differ only in numbers, ids, literals and hosts."""

    pattern: str = Field(examples=["no connection to <host> after <n> s"])
    count: int
    example: str = Field(description="The newest of the messages.")
    last_seen: Instant


class FailureAnalytics(BaseModel):
    """Failed runs by hour, type and message."""

    period: Period
    since: Instant
    failure_rate_by_hour: list[HourRate] = Field(min_length=24, max_length=24)
    top_failed_report_types: list[FailedType]
    common_error_patterns: list[ErrorPattern]
    degraded: Degraded = Field(default_factory=list)


class TrendPoint(BaseModel):
    """An hour (of 24h) or a day with runs."""

    start: Instant
    runs: int
    avg_ms: float
    p95_ms: float


class SlowType(BaseModel):
    """Run times of a report type."""

    report_type: str
    runs: int
    avg_ms: float
    p95_ms: float
    max_ms: float


class PerformanceAnalytics(BaseModel):
    """Run times, from the start of the first pod to the end."""

    period: Period
    since: Instant
    execution_time_trend: list[TrendPoint] = Field(description="Oldest first.")
    slowest_report_types: list[SlowType] = Field(description="Slowest first, by p95.")
    degraded: Degraded = Field(default_factory=list)
