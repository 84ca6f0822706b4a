"""The endpoints that count: failures and run times over a period."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin_api.auth.tokens import FILES_RIGHT
from admin_api.auth.visibility import sees_all
from admin_api.schemas.scheduler import SCHEDULER, Degraded, Instant
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.jobs import recent
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.domain import statistics
from report_operator.domain.statistics import Failures, Granularity, Performance

FRESH_SECONDS = 30.0  # figures of days need not be of this moment


class Period(StrEnum):
    """How far back, from now."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


SPANS = {
    Period.DAY: timedelta(hours=24),
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
}


class PeriodQuery(BaseModel):
    """Over which period."""

    model_config = ConfigDict(extra="forbid")

    period: Period = Period.WEEK


class HourRate(BaseModel):
    """An hour of the day, UTC."""

    hour: int = Field(ge=0, le=23)
    runs: int
    failures: int
    rate: float = Field(description="Failures of a run, 0 to 1; 0 where there was none.")


class FailedType(BaseModel):
    """A report type that failed."""

    report_type: str
    runs: int
    failures: int
    rate: float


class ErrorPattern(BaseModel):
    """Failures with one message but for numbers, ids, literals, hosts."""

    pattern: str = Field(examples=["no connection to <host> after <n> s"])
    count: int
    example: str = Field(description="The newest of the messages.")
    last_seen: Instant


class FailureAnalytics(BaseModel):
    """Why and when runs failed."""

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
    """How long runs took, from their first pod's start to their end."""

    period: Period
    since: Instant
    execution_time_trend: list[TrendPoint] = Field(description="Oldest first.")
    slowest_report_types: list[SlowType] = Field(description="Slowest first, by p95.")
    degraded: Degraded = Field(default_factory=list)


def add(app: FastAPI, cluster: Cluster, past: HistoryClient, clock: Callable[[], datetime]) -> None:
    """Attach them."""

    async def count_failures(period: Period) -> FailureAnalytics:
        since = clock() - SPANS[period]
        question = past.reader.failures(since) if past.reader else None
        found, degraded = await past.ask(question)
        if found is None:
            found = statistics.failures(recent((await cluster.snapshot()).jobs, since))
        return describe_failures(period, since, found, degraded)

    async def count_times(period: Period) -> PerformanceAnalytics:
        since = clock() - SPANS[period]
        step = Granularity.HOUR if period is Period.DAY else Granularity.DAY
        question = past.reader.performance(since, step) if past.reader else None
        found, degraded = await past.ask(question)
        if found is None:
            found = statistics.performance(recent((await cluster.snapshot()).jobs, since), step)
        return describe_performance(period, since, found, degraded)

    known_failures = TTLCache(count_failures, FRESH_SECONDS)
    known_times = TTLCache(count_times, FRESH_SECONDS)

    @app.get(f"{SCHEDULER}/analytics/failures", tags=["read"])
    async def failures(
        query: Annotated[PeriodQuery, Query()], request: Request
    ) -> FailureAnalytics:
        """When, of which type and why runs failed; at most half a minute old."""
        found = await known_failures.get(query.period)
        return found if await sees_all(request) else without_messages(found)

    @app.get(f"{SCHEDULER}/analytics/performance", tags=["read"])
    async def performance(query: Annotated[PeriodQuery, Query()]) -> PerformanceAnalytics:
        """How long runs took; at most half a minute old."""
        return await known_times.get(query.period)


def without_messages(found: FailureAnalytics) -> FailureAnalytics:
    """For a caller who may not see what the reports of all teams say."""
    told = f"common_error_patterns: not shown: needs {FILES_RIGHT} in all namespaces"
    return found.model_copy(
        update={"common_error_patterns": [], "degraded": [*found.degraded, told]}
    )


def describe_failures(
    period: Period, since: datetime, found: Failures, degraded: list[str]
) -> FailureAnalytics:
    """All hours of the day, those without runs as well."""
    hours = {figure.hour: figure for figure in found.hours}
    by_hour = [hours.get(hour) or statistics.HourlyStatistics(hour, 0, 0) for hour in range(24)]
    return FailureAnalytics(
        period=period,
        since=since,
        failure_rate_by_hour=[
            HourRate(hour=h.hour, runs=h.runs, failures=h.failures, rate=_rate(h.failures, h.runs))
            for h in by_hour
        ],
        top_failed_report_types=[
            FailedType(
                report_type=figure.report_type,
                runs=figure.runs,
                failures=figure.failures,
                rate=_rate(figure.failures, figure.runs),
            )
            for figure in found.types
        ],
        common_error_patterns=[
            ErrorPattern(
                pattern=figure.pattern,
                count=figure.count,
                example=figure.example,
                last_seen=figure.last_seen,
            )
            for figure in found.patterns
        ],
        degraded=degraded,
    )


def describe_performance(
    period: Period, since: datetime, found: Performance, degraded: list[str]
) -> PerformanceAnalytics:
    """In milliseconds."""
    return PerformanceAnalytics(
        period=period,
        since=since,
        execution_time_trend=[
            TrendPoint(
                start=figure.start,
                runs=figure.runs,
                avg_ms=_milliseconds(figure.avg_seconds),
                p95_ms=_milliseconds(figure.p95_seconds),
            )
            for figure in found.trend
        ],
        slowest_report_types=[
            SlowType(
                report_type=figure.report_type,
                runs=figure.runs,
                avg_ms=_milliseconds(figure.avg_seconds),
                p95_ms=_milliseconds(figure.p95_seconds),
                max_ms=_milliseconds(figure.max_seconds),
            )
            for figure in found.types
        ],
        degraded=degraded,
    )


def _rate(failures: int, runs: int) -> float:
    return round(failures / runs, 4) if runs else 0.0


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)
