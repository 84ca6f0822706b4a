"""A query of DuckDB as the runner runs it, in a batch."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from report_runner.contract.definition import Definition
from report_runner.environment import RunStamps
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.sources import SourceContext, fetch_all


def run_query(text: str) -> dict[str, Any]:
    """`rows` as text, or `reason` and `message`."""
    definition = Definition.model_validate(
        {
            "namespace": "team-a",
            "name": "attack",
            "uid": "u1",
            "reportType": "attack",
            "timeZone": "Etc/UTC",
            "report": {
                "title": "Attack",
                "sources": [
                    {"name": "facts", "inline": {"rows": [{"a": 1}]}},
                    {"name": "q", "query": {"sql": text, "timeout": "5s"}},
                ],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "attack.1", 1, "pod")
    try:
        table = fetch_all(SourceContext(definition, run, Secrets(Path("/nonexistent"))))["q"].table
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message[:2000]}
    shown = [[str(cell)[:2000] for cell in row[:20]] for row in table.rows[:100]]
    return {"rows": json.dumps(shown), "count": len(table.rows)}
