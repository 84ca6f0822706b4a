"""A query as the runner runs it, in a batch."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from report_runner.contract.definition import Definition
from report_runner.environment import RunStamps
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.sources import SourceContext, fetch_all
from tests.attacks.queries import PARAMETERS

STATE = (
    "SELECT (SELECT count(*) FROM positions), (SELECT sum(amount) FROM positions), "
    "(SELECT count(*) FROM pg_class WHERE relname LIKE 'pwned%'), "
    "(SELECT count(*) FROM pg_proc WHERE proname LIKE 'pwned%'), "
    "(SELECT count(*) FROM pg_roles WHERE rolsuper), (SELECT count(*) FROM pg_extension), "
    "(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_namespace)"
)


@cache
def _admin() -> psycopg.Connection[tuple[Any, ...]]:
    port = (Path(os.environ["ATTACK_SECRETS"]) / "report-db" / "port").read_text()
    return psycopg.connect(
        host="127.0.0.1", port=int(port), user="postgres", dbname="postgres", autocommit=True
    )


def run_query(case: list[str]) -> dict[str, Any]:
    """What became of a text with its time-out.

    `rows` as text, or `reason` and `message`; `wrote` where the database is not what it was.
    """
    before = _admin().execute(STATE).fetchone()
    found = _run(*case)
    return {**found, "wrote": _admin().execute(STATE).fetchone() != before}


def _run(text: str, timeout: str) -> dict[str, Any]:
    definition = Definition.model_validate(
        {
            "namespace": "team-a",
            "name": "attack",
            "uid": "u1",
            "reportType": "attack",
            "timeZone": "Etc/UTC",
            "report": {
                "title": "Attack",
                "parameters": dict(PARAMETERS),
                "sources": [
                    {
                        "name": "a",
                        "postgres": {
                            "connection": {"secretRef": {"name": "report-db"}},
                            "query": text,
                            "timeout": timeout,
                        },
                    }
                ],
                "template": {"builtin": "executive_dashboard"},
            },
        }
    )
    run = RunStamps(datetime(2026, 1, 5, 6, tzinfo=UTC), date(2026, 1, 5), "attack.1", 1, "pod")
    context = SourceContext(definition, run, Secrets(Path(os.environ["ATTACK_SECRETS"])))
    try:
        table = fetch_all(context)["a"].table
    except RunError as error:
        return {"reason": error.reason.value, "message": error.message}
    shown = [[str(cell)[:2000] for cell in row[:20]] for row in table.rows[:100]]
    return {"rows": json.dumps(shown), "count": len(table.rows)}
