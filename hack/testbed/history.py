"""Rows of history, by the million."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

# Made by the server itself, since a million of them take minutes otherwise. One in ten failed.
FILL = """
INSERT INTO report_scheduler.runs (
    job_uid, job_id, namespace, schedule, schedule_uid, report_type, tier, priority, slot, attempt,
    report_date, manual, job, definition, outcome, reason, message, error_pattern, created_at,
    admitted_at, started_at, finished_at, queued_seconds, pending_seconds, run_seconds, rows,
    pages, outputs, pods, log_tail)
SELECT
    gen_random_uuid(),
    format('reports.schedule-%%s.%%s.1', n %% 500, to_char(ended, 'YYYYMMDD"T"HH24MISS"Z"')),
    'reports', 'schedule-' || n %% 500, 'uid-of-schedule-' || n %% 500, 'type_' || n %% 40,
    (ARRAY['critical', 'standard', 'bulk'])[1 + n %% 3], 'normal', ended - interval '5 min', 1,
    ended::date, false, format('schedule-%%s-%%s', n %% 500, n), 'schedule-0123456789',
    CASE WHEN failed THEN 'Failed' ELSE 'Succeeded' END,
    CASE WHEN failed THEN 'DatabaseUnavailable' END,
    CASE WHEN failed THEN format('source_%%s: no connection to 10.0.0.%%s:5432 after %%s s',
        n %% 7, n %% 250, n %% 60) ELSE '' END,
    CASE WHEN failed THEN format('source_%%s: no connection to <host> after <n> s', n %% 7) END,
    ended - interval '5 min', ended - interval '4 min', ended - interval '3 min', ended,
    60, 10, 5 + (random() * 300)::int, 1000, 4,
    jsonb_build_array(jsonb_build_object('path', format('2026/%%s.pdf', n), 'format', 'pdf',
        'bytes', 100000, 'sha256', md5(n::text) || md5(n::text))),
    1, CASE WHEN failed THEN repeat('a line of a log' || chr(10), 50) END
FROM (
    SELECT n, random() < 0.1 AS failed,
        date_trunc('second', %(until)s - %(span)s * (1 - n::float8 / %(count)s)) AS ended
    FROM generate_series(1, %(count)s) AS n
) AS made
"""


def fill(connection: Any, count: int, span: timedelta, until: datetime) -> None:
    """Insert `count` runs of 500 schedules that ended evenly in `span` before `until`."""
    connection.execute(FILL, {"count": count, "span": span, "until": until})
    connection.execute("VACUUM ANALYZE report_scheduler.runs")
