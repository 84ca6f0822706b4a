"""Past runs from history, to find those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from report_operator.adapters.postgres.database import SCHEMA, Database, HistoryUnavailableError
from report_operator.domain.runs.history import PastRun, PastRunsUnavailableError, SlotSpan
from report_runner.contract.result import Outcome

# By name, as files and deliveries are: in a cluster that was made anew from manifests a schedule
# has another uid, and its readers have the reports of before. Another type is another report.
_OF_SPAN = """
 namespace = %(namespace)s AND schedule = %(schedule)s
 AND (schedule_uid = %(uid)s OR report_type = %(report_type)s)
 AND slot BETWEEN %(since)s AND %(until)s
"""
PAST_RUNS = f"""
(SELECT DISTINCT ON (slot) slot, attempt, outcome FROM {SCHEMA}.runs
 WHERE {_OF_SPAN} ORDER BY slot, attempt DESC)
UNION
(SELECT DISTINCT ON (slot) slot, attempt, outcome FROM {SCHEMA}.runs
 WHERE {_OF_SPAN} AND outcome = 'Succeeded' ORDER BY slot, attempt DESC)
ORDER BY slot, attempt
"""  # noqa: S608


def parameters(span: SlotSpan) -> dict[str, Any]:
    """Of PAST_RUNS."""
    return {
        "namespace": span.namespace,
        "schedule": span.schedule,
        "uid": span.schedule_uid,
        "report_type": span.report_type,
        "since": span.since,
        "until": span.until,
    }


@dataclass(slots=True)
class PostgresPastRuns:
    database: Database

    async def of(self, span: SlotSpan) -> Sequence[PastRun]:
        try:
            async with self.database.transaction() as connection:
                rows = await (await connection.execute(PAST_RUNS, parameters(span))).fetchall()
        except HistoryUnavailableError as error:
            raise PastRunsUnavailableError(f"history: {error}") from error
        return [PastRun(slot, attempt, Outcome(outcome)) for slot, attempt, outcome in rows]
