"""Run records for history, in any number."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from report_operator.domain.names import job_id
from report_operator.domain.runs.record import RunRecord, StoredOutput
from report_operator.domain.statistics import error_pattern
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TYPES = ("executive_dashboard", "portfolio_performance", "risk", "sales", "regulatory")
MESSAGES = (
    'report.sources[positions]: relation "positions_{n}" does not exist',
    "no connection to 10.0.0.{n}:5432 after {n} s",
    "killed for using more memory than its limit of {n}Mi",
)


def make_record(number: int = 1, **changes: Any) -> RunRecord:
    """A run that succeeded at NOW; each number is another Job."""
    values: dict[str, Any] = {
        "job_uid": f"uid-{number}",
        "namespace": "reports",
        "schedule": "daily",
        "schedule_uid": "schedule-1",
        "report_type": "executive_dashboard",
        "tier": "critical",
        "priority": "normal",
        "slot": NOW - timedelta(minutes=5),
        "attempt": 1,
        "report_date": (NOW - timedelta(minutes=5)).date(),
        "manual": False,
        "requested_by": None,
        "backfill": None,
        "backfill_uid": None,
        "job": f"daily-{number}",
        "definition": "daily-0123456789",
        "overridden": False,
        "outcome": Outcome.SUCCEEDED,
        "reason": None,
        "message": "",
        "created_at": NOW - timedelta(minutes=5),
        "admitted_at": NOW - timedelta(minutes=4),
        "started_at": NOW - timedelta(minutes=3),
        "finished_at": NOW,
        "queued_seconds": 60,
        "pending_seconds": 60,
        "run_seconds": 180,
        "rows": 7,
        "pages": 2,
        "outputs": (StoredOutput("2026/11/24/daily.pdf", "pdf", 1234, "ab" * 32),),
        "pods": 1,
        **changes,
    }
    failed = values["outcome"] is Outcome.FAILED
    identity = job_id(values["namespace"], values["schedule"], values["slot"], values["attempt"])
    return RunRecord(
        **{
            "job_id": identity,
            "error_pattern": error_pattern(values["message"]) if failed else None,
            **values,
        }
    )


def failed_record(number: int = 1, message: str = "no such table", **changes: Any) -> RunRecord:
    return make_record(
        number,
        **{
            "outcome": Outcome.FAILED,
            "reason": Reason.CONFIGURATION_ERROR,
            "message": message,
            "outputs": (),
            **changes,
        },
    )


def many_records(
    count: int, span: timedelta, seed: int = 1, now: datetime = NOW
) -> Iterator[RunRecord]:
    """Runs of 50 schedules that ended in `span` before `now`, oldest first; one in ten failed.

    As many were skipped.
    """
    rng = random.Random(seed)  # noqa: S311
    for number in range(count):
        ended = now - span + span * ((number + 1) / count)
        ended = ended.replace(microsecond=0)
        which = rng.randrange(50)
        seconds = round(rng.lognormvariate(3.5, 0.8))
        values: dict[str, Any] = {
            "schedule": f"schedule-{which}",
            "schedule_uid": f"uid-of-schedule-{which}",
            "report_type": TYPES[which % len(TYPES)],
            "job": f"schedule-{which}-{number}",
            "slot": ended - timedelta(seconds=seconds),
            "started_at": ended - timedelta(seconds=seconds),
            "finished_at": ended,
            "run_seconds": seconds,
        }
        if rng.random() < 0.1:
            text = rng.choice(MESSAGES).format(n=rng.randrange(1, 255))
            yield failed_record(number, text, **values)
        elif rng.random() < 0.1:
            skip = {"outcome": Outcome.SKIPPED, "reason": Reason.UNCHANGED, "outputs": ()}
            yield make_record(number, **values, **skip)
        else:
            yield make_record(number, **values)
