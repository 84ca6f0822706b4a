"""Figures over many runs: pure counting."""

from datetime import timedelta

import pytest
from factories import SLOT

from report_operator.domain.statistics import (
    PATTERN_LIMIT,
    FinishedRun,
    Granularity,
    HourlyStatistics,
    TypeFailures,
    error_pattern,
    failures,
    performance,
    totals,
)
from report_runner.contract.result import Outcome

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("has more than maxRows (100,000) rows", "has more than maxRows (<n>) rows"),
        ('relation "positions_7" does not exist', "relation <text> does not exist"),
        ("column 'a b' of `t`", "column <text> of <text>"),
        ("the runner's limit is the author's", "the runner's limit is the author's"),
        ("no connection to 10.0.0.7:5432 after 15.5 s", "no connection to <host> after <n> s"),
        ("no connection to db-3.team.svc:5432", "no connection to <host>"),
        ("cannot resolve api.example.com", "cannot resolve <host>"),
        ("no route to [fe80::1:2]:25", "no route to <host>"),
        ("GET https://x.test/a?b=1 said 503", "GET <url> said <n>"),
        ("mail to jane.doe+x@corp.test bounced", "mail to <address> bounced"),
        ("/var/adaf/reports/2026/a.pdf: No space left", "<path>: No space left"),
        ("run 5f0c6c1e-0000-4000-8000-000000000001 ended", "run <id> ended"),
        ("digest deadbeef01 differs", "digest <id> differs"),
        ("since 2026-11-24T05:00:00Z, on 2026-11-24", "since <time>, on <time>"),
        ("at line 3,  column\n8", "at line <n>, column <n>"),
        ("", ""),
    ],
)  # fmt: skip
def test_error_pattern_replaces_what_differs_each_time(message: str, pattern: str) -> None:
    assert error_pattern(message) == pattern


@pytest.mark.parametrize("text", ["x" * 5000, "a." * 5000, "/" * 5000, "1:" * 5000, "'" * 5000])
def test_error_pattern_is_bounded(text: str) -> None:
    assert len(error_pattern(text)) <= PATTERN_LIMIT


def run(kind: str = "a", message: str | None = None, seconds: int | None = 60, hours: int = 0):
    """Failed where there is a message."""
    outcome = Outcome.SUCCEEDED if message is None else Outcome.FAILED
    return FinishedRun(kind, outcome, SLOT + hours * HOUR, seconds, message or "")


def test_failures_are_grouped_by_hour_type_and_pattern() -> None:
    found = failures(
        [run(), run("a", "no 1"), run("a", "no 2", hours=24), run("b", "else", hours=2), run("c")]
    )
    assert found.hours == [HourlyStatistics(5, 4, 2), HourlyStatistics(7, 1, 1)]
    assert found.types == [TypeFailures("a", 3, 2), TypeFailures("b", 1, 1)]
    assert [(p.pattern, p.count, p.example) for p in found.patterns] == [
        ("no <n>", 2, "no 2"), ("else", 1, "else")
    ]  # fmt: skip


def test_run_times_are_grouped_by_hour_and_by_day() -> None:
    runs = [run(seconds=n) for n in range(1, 101)] + [run("b", seconds=7, hours=1)]
    runs.append(run("c", seconds=None))  # given up on before it ran
    found = performance(runs, Granularity.HOUR)
    assert [(t.runs, t.avg_seconds, t.p95_seconds) for t in found.trend] == [
        (100, 50.5, 95), (1, 7.0, 7)
    ]  # fmt: skip
    assert [(t.report_type, t.max_seconds) for t in found.types] == [("a", 100), ("b", 7)]
    (day,) = performance(runs, Granularity.DAY).trend
    assert (day.start, day.runs) == (SLOT.replace(hour=0), 101)


def test_totals_count_runs_and_average_their_time() -> None:
    found = totals([run(seconds=10), run("b", "no", seconds=20), run(seconds=None)])
    assert (found.finished, found.succeeded, found.avg_seconds) == (3, 2, 15.0)
    assert totals([]).avg_seconds is None
