"""Failures and run times over a period, from history where it serves, else from the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from admin_api.schemas.analytics import (
    ErrorPattern,
    FailedType,
    FailureAnalytics,
    HourRate,
    PerformanceAnalytics,
    Period,
    SlowType,
    TrendPoint,
)
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import recent
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.domain import statistics
from report_operator.domain.statistics import Failures, Granularity, Performance

FRESH_SECONDS = 30.0  # statistics of days may be this old

SPANS = {
    Period.DAY: timedelta(hours=24),
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
}


@dataclass(slots=True)
class Analytics:
    """Answers are cached for FRESH_SECONDS, per period."""

    cluster: Cluster
    history: HistoryClient
    clock: Callable[[], datetime]
    _failures: TTLCache[Period, FailureAnalytics] = field(init=False)
    _performance: TTLCache[Period, PerformanceAnalytics] = field(init=False)

    def __post_init__(self) -> None:
        self._failures = TTLCache(self._count_failures, FRESH_SECONDS)
        self._performance = TTLCache(self._measure_performance, FRESH_SECONDS)

    async def failures(self, period: Period) -> FailureAnalytics:
        return await self._failures.get(period)

    async def performance(self, period: Period) -> PerformanceAnalytics:
        return await self._performance.get(period)

    async def _count_failures(self, period: Period) -> FailureAnalytics:
        since = self.clock() - SPANS[period]
        reader = self.history.reader
        found, degraded = await self.history.query(reader.failures(since) if reader else None)
        if found is None:
            found = statistics.failures(recent((await self.cluster.snapshot()).jobs, since))
        return describe_failures(period, since, found, degraded)

    async def _measure_performance(self, period: Period) -> PerformanceAnalytics:
        since = self.clock() - SPANS[period]
        step = Granularity.HOUR if period is Period.DAY else Granularity.DAY
        reader = self.history.reader
        found, degraded = await self.history.query(
            reader.performance(since, step) if reader else None
        )
        if found is None:
            jobs = recent((await self.cluster.snapshot()).jobs, since)
            found = statistics.performance(jobs, step)
        return describe_performance(period, since, found, degraded)


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
    """`found` has seconds, the answer milliseconds."""
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
