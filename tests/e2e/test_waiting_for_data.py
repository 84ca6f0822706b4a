"""Runs that wait for their data, on a real node."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import SECONDS, Team

LONG = 4 * SECONDS


def phases(team: Team) -> list[str]:
    """Of all pods of the team."""
    listed = json.loads(team.kubectl("get", "pods", "-o", "json"))
    return [pod["status"]["phase"] for pod in listed["items"]]


def test_run_is_delivered_once_its_data_are_ready(team: Team) -> None:
    team.copy_secret("report-db")
    ready_at = datetime.now(UTC) + timedelta(minutes=2)
    query = "SELECT 1 AS ready WHERE now() >= CAST(%(ready_at)s AS timestamptz)"
    report = {
        "title": "Waits",
        "parameters": {"ready_at": ready_at.isoformat(timespec="seconds")},
        "sources": [
            {
                "name": "loads",
                "postgres": {"connection": {"secretRef": {"name": "report-db"}}, "query": query},
            }
        ],
        "template": {"builtin": "executive_dashboard"},
        "formats": ["csv"],
        "waitFor": {"source": "loads", "until": "loads | length > 0", "every": "1m"},
    }
    team.apply("waits", report=report)
    team.start("waits", "run-1")
    waiting = wait_for(
        "it waits",
        lambda: (status := team.status("waits")).get("waitingForData") and status,
        SECONDS,
        describe=lambda: (team.status("waits"), phases(team)),
    )
    assert waiting["dataWait"]["answer"] == (
        "source loads has 0 rows, and `loads | length > 0` is not true"
    )
    assert (waiting["queued"], waiting["active"]) == (0, 0)
    assert set(phases(team)) == {"Failed"}  # the check; nothing of it runs
    run = team.outcome("waits", "run-1", LONG)
    assert run["outcome"] == "Succeeded"
    assert datetime.fromisoformat(run["finishedAt"]) >= ready_at
    assert run["dataWaitSeconds"] > 0
    assert team.status("waits")["runCounts"] == {"Succeeded": 1}
    assert len(phases(team)) >= 2


def test_data_that_never_come_fail_the_run(team: Team) -> None:
    report = {
        "title": "Waits",
        "sources": [{"name": "facts", "inline": {"rows": [{"a": 1}]}}],
        "template": {"builtin": "executive_dashboard"},
        "formats": ["csv"],
        "waitFor": {
            "source": "facts", "until": "facts | length > 1", "every": "1m", "deadline": "1m",
        },
    }  # fmt: skip
    team.apply("never", report=report, retry={"limit": 3})
    team.start("never", "run-1")
    run = team.outcome("never", "run-1", LONG)
    assert (run["outcome"], run["reason"]) == ("Failed", "DataNotReady")
    assert "source facts has 1 row, and `facts | length > 1` is not true" in run["message"]
    failing = team.condition("never", "Failing")
    assert (failing["status"], failing["reason"]) == ("True", "DataNotReady")
    assert team.status("never")["consecutiveFailures"] == 1
    assert [name for name in team.files() if not name.endswith(".lock")] == []
