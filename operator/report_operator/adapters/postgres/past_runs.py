"""Past runs from history, to find those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from report_operator.adapters.postgres.database import SCHEMA, Database, HistoryUnavailableError
from report_operator.domain.runs.history import PastRun, PastRunsUnavailableError
from report_runner.contract.result import Outcome

# By the schedule's uid: one that was deleted and made anew has runs of its own for each slot.
PAST_RUNS = f"""
(SELECT DISTINCT ON (slot) slot, attempt, outcome FROM {SCHEMA}.runs
 WHERE schedule_uid = %(uid)s AND slot BETWEEN %(since)s AND %(until)s
 ORDER BY slot, attempt DESC)
UNION
(SELECT DISTINCT ON (slot) slot, attempt, outcome FROM {SCHEMA}.runs
 WHERE schedule_uid = %(uid)s AND slot BETWEEN %(since)s AND %(until)s AND outcome = 'Succeeded'
 ORDER BY slot, attempt DESC)
ORDER BY slot, attempt
"""  # noqa: S608


@dataclass(slots=True)
class PostgresPastRuns:
    database: Database

    async def of(
        self,
        namespace: str,  # noqa: ARG002  (the uid says it all)
        schedule_uid: str,
        schedule: str,  # noqa: ARG002
        since: datetime,
        until: datetime,
    ) -> Sequence[PastRun]:
        parameters = {"uid": schedule_uid, "since": since, "until": until}
        try:
            async with self.database.transaction() as connection:
                rows = await (await connection.execute(PAST_RUNS, parameters)).fetchall()
        except HistoryUnavailableError as error:
            raise PastRunsUnavailableError(f"history: {error}") from error
        return [PastRun(slot, attempt, Outcome(outcome)) for slot, attempt, outcome in rows]
