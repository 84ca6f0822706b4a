"""The API calls of the first runbook, and the fields that it selects of each answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SCHEDULER = "/api/admin/scheduler"


@dataclass(frozen=True, slots=True)
class Call:
    """`selects` are paths into the answer; `[]` stands for every element of a list."""

    path: str
    selects: tuple[str, ...]
    method: str = "GET"
    body: dict[str, Any] | None = field(default=None)


READS = (
    Call(
        f"{SCHEDULER}/status",
        ("status", "uptime", "active_jobs", "queue_depth", "last_heartbeat"),
    ),
    Call(f"{SCHEDULER}/jobs?status=failed&limit=10", ("jobs[].id",)),
    Call(
        f"{SCHEDULER}/jobs?status=failed&since=YESTERDAY",
        ("jobs[].id", "jobs[].report_type", "jobs[].error_message", "jobs[].failed_at"),
    ),
    Call(f"{SCHEDULER}/health/database", ("ok", "latency_ms")),
    Call(
        f"{SCHEDULER}/metrics",
        ("processing_rate", "avg_execution_time_ms", "success_rate_percent"),
    ),
    Call(f"{SCHEDULER}/jobs/FAILED_JOB", ("id", "report_type", "error_message", "failed_at")),
    Call("/api/admin/deployments/recent", ("[].components[]",)),
    Call(
        f"{SCHEDULER}/analytics/failures?period=7d",
        (
            "failure_rate_by_hour[]",
            "top_failed_report_types[]",
            "common_error_patterns[]",
        ),
    ),
    Call(
        f"{SCHEDULER}/analytics/performance?period=7d",
        ("execution_time_trend[]", "slowest_report_types[]"),
    ),
    Call(f"{SCHEDULER}/health", ("status",)),
)
ACTS = (
    Call(f"{SCHEDULER}/jobs/FAILED_JOB/retry", ("id", "status"), "POST"),
    Call(
        "/api/admin/reports/generate",
        ("id", "status"),
        "POST",
        {"type": "executive_dashboard", "date": "TODAY", "priority": "high"},
    ),
    Call(
        "/api/admin/reports/generate",
        ("id", "status"),
        "POST",
        {"type": "portfolio_performance", "date": "TODAY", "priority": "high"},
    ),
    Call(f"{SCHEDULER}/queue/cleanup", ("removed",), "POST", {"older_than_hours": 24}),
    Call(
        "/api/admin/reports/backfill",
        ("backfills[].name",),
        "POST",
        {"start_date": "2025-01-08", "end_date": "2025-01-09", "report_types": ["critical"]},
    ),
)


def select(answer: Any, path: str) -> list[Any]:
    """The values at a path; a missing key counts as null."""
    values = [answer]
    for step in path.replace("[]", ".[]").strip(".").split("."):
        if step == "[]":
            values = [element for value in values for element in value or ()]
        else:
            values = [value.get(step) if isinstance(value, dict) else None for value in values]
    return values
