"""Statistics of many runs: failures by hour, error patterns, run times by type."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil

from report_runner.contract.result import Outcome

MESSAGE_LIMIT, PATTERN_LIMIT = 1000, 200  # characters; of a message no more is looked at
TOP = 20  # entries of a list


class Granularity(StrEnum):
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The fields of a run that statistics need."""

    report_type: str
    outcome: Outcome
    finished_at: datetime
    run_seconds: int | None
    message: str


@dataclass(frozen=True, slots=True)
class HourlyStatistics:
    """Runs that ended in one hour of the day, UTC."""

    hour: int
    runs: int
    failures: int


@dataclass(frozen=True, slots=True)
class TypeFailures:
    """Runs of one report type that has failed."""

    report_type: str
    runs: int
    failures: int


@dataclass(frozen=True, slots=True)
class PatternStatistics:
    """Failures with the same message, except for what differs each time."""

    pattern: str
    count: int
    example: str
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class TrendStatistics:
    """Run times from `start` on, for an hour or a day (UTC)."""

    start: datetime
    runs: int
    avg_seconds: float
    p95_seconds: int


@dataclass(frozen=True, slots=True)
class TypeTimes:
    """Run times of one report type."""

    report_type: str
    runs: int
    avg_seconds: float
    p95_seconds: int
    max_seconds: int


@dataclass(frozen=True, slots=True)
class Failures:
    """`hours` has the hours with runs only."""

    hours: Sequence[HourlyStatistics]
    types: Sequence[TypeFailures]
    patterns: Sequence[PatternStatistics]


@dataclass(frozen=True, slots=True)
class Performance:
    """Of the runs that started."""

    trend: Sequence[TrendStatistics]
    types: Sequence[TypeTimes]


@dataclass(frozen=True, slots=True)
class Totals:
    """Finished runs of a span; `avg_seconds` of those that started."""

    finished: int
    succeeded: int
    avg_seconds: float | None
    skipped: int = 0  # of those finished

    @property
    def success_ratio(self) -> float | None:
        """Of the runs that were to send a report; None where none was."""
        tried = self.finished - self.skipped
        return self.succeeded / tried if tried else None


# In this order: what a later one matches is often part of what an earlier one does.
_DIFFERS = (
    (re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"),
        "<time>",
    ),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s,;)]+", re.IGNORECASE), "<url>"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"(?<!\w)\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}\]?(?::\d+)?", re.IGNORECASE),
     "<host>"),
    (re.compile(r"(?<!\w)/(?:[\w.+-]+/)*[\w.+-]+"), "<path>"),
    (
        re.compile(
            r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:svc|local|internal|[a-z]{2,})(?::\d+)\b",
            re.IGNORECASE,
        ),
        "<host>",
    ),
    (
        re.compile(
            r"\b(?:[a-z0-9-]+\.)+(?:svc|local|internal|example|test|com|org|net|io|eu)\b",
            re.IGNORECASE,
        ),
        "<host>",
    ),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)  # fmt: skip


def error_pattern(message: str) -> str:
    """The message with placeholders for literals, ids, times, addresses, paths and numbers."""
    text = " ".join(message[:MESSAGE_LIMIT].split())
    for expression, placeholder in _DIFFERS:
        text = expression.sub(placeholder, text)
    return text[:PATTERN_LIMIT]


def failures(runs: Iterable[FinishedRun]) -> Failures:
    """Hours; types by their number of failures, and patterns likewise."""
    known = [run for run in runs if run.outcome is not Outcome.SKIPPED]
    failed = [run for run in known if run.outcome is Outcome.FAILED]
    by_hour, failed_by_hour = Counter(map(_hour, known)), Counter(map(_hour, failed))
    by_type = Counter(run.report_type for run in known)
    failed_by_type = Counter(run.report_type for run in failed)
    same: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in failed:
        same[error_pattern(run.message)].append(run)
    patterns = []
    for pattern, group in same.items():
        last = max(group, key=lambda run: run.finished_at)
        patterns.append(PatternStatistics(pattern, len(group), last.message, last.finished_at))
    types = [TypeFailures(name, by_type[name], count) for name, count in failed_by_type.items()]
    return Failures(
        [HourlyStatistics(hour, by_hour[hour], failed_by_hour[hour]) for hour in sorted(by_hour)],
        sorted(types, key=lambda figure: (-figure.failures, figure.report_type))[:TOP],
        sorted(patterns, key=lambda figure: (-figure.count, figure.pattern))[:TOP],
    )


def performance(runs: Iterable[FinishedRun], step: Granularity) -> Performance:
    """The trend, oldest first, and the types, slowest first by their 95th percentile."""
    by_start: dict[datetime, list[int]] = defaultdict(list)
    by_type: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        if run.run_seconds is not None and run.outcome is not Outcome.SKIPPED:
            by_start[_start(run.finished_at, step)].append(run.run_seconds)
            by_type[run.report_type].append(run.run_seconds)
    types = [
        TypeTimes(name, len(times), _mean(times), _p95(times), max(times))
        for name, times in by_type.items()
    ]
    return Performance(
        [
            TrendStatistics(start, len(times), _mean(times), _p95(times))
            for start, times in sorted(by_start.items())
        ],
        sorted(types, key=lambda figure: (-figure.p95_seconds, figure.report_type))[:TOP],
    )


def totals(runs: Iterable[FinishedRun]) -> Totals:
    known = list(runs)
    tried = [run for run in known if run.outcome is not Outcome.SKIPPED]
    times = [run.run_seconds for run in tried if run.run_seconds is not None]
    good = sum(run.outcome is Outcome.SUCCEEDED for run in known)
    average = _mean(times) if times else None
    return Totals(len(known), good, average, len(known) - len(tried))


def _hour(run: FinishedRun) -> int:
    return run.finished_at.astimezone(UTC).hour


def _start(instant: datetime, step: Granularity) -> datetime:
    hour = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if step is Granularity.HOUR else hour.replace(hour=0)


def _mean(times: Sequence[int]) -> float:
    return sum(times) / len(times)


def _p95(times: Sequence[int]) -> int:
    """The smallest time that 95 % of all do not exceed, as percentile_disc of PostgreSQL."""
    return sorted(times)[ceil(0.95 * len(times)) - 1]
