"""Whole runs where NetworkPolicies are enforced: delivered, or failed with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hack import mail, up
from hack.steps import RELEASE
from tests.e2e.conftest import Team, kubectl
from tests.network.vantage import API, OPERATOR, TEAM

SECONDS = 400.0
TEAM_OF_DEMO = Team(TEAM)
SPEC: dict[str, Any] = next(
    found["spec"]
    for found in yaml.safe_load_all((up.DEMO / "schedules.yaml").read_text())
    if found["metadata"]["name"] == "market-dashboard"
)
UPLOAD = {
    "to": [
        {
            "name": "archive",
            "path": "enforced/{{ name }}",
            "formats": ["pdf"],
            "s3": {
                "endpoint": "http://s3.demo.svc:8080",
                "bucket": "archive",
                "secretRef": {"name": "report-s3"},
            },
            "ifExists": "Replace",
        }
    ]
}
# Inside of the admin API's pod, where no token is asked for.
GET = """
import sys, urllib.request
with urllib.request.urlopen("http://127.0.0.1:3000" + sys.argv[1], timeout=60) as answer:
    sys.stdout.buffer.write(answer.read())
"""


def _get(path: str) -> str:
    return kubectl("-n", RELEASE, "exec", f"deploy/{API}", "--", "python3", "-c", GET, path)


def test_a_run_is_delivered_recorded_and_shown(enforced: Path) -> None:
    """PostgreSQL, SMTP and S3 in the run; API server, Postgres, Redis, files in the release."""
    email = {**SPEC["delivery"]["email"], "to": ["enforced@example.com"]}
    TEAM_OF_DEMO.apply("enforced", **{**SPEC, "delivery": {"email": email, "upload": UPLOAD}})
    TEAM_OF_DEMO.start("enforced", "enforced-1")
    outcome = TEAM_OF_DEMO.outcome("enforced", "enforced-1", SECONDS)
    assert outcome["outcome"] == "Succeeded", outcome
    newest = [mail.fetch(name)[1] for name in mail.names()[:5]]
    assert any(found["To"] == "enforced@example.com" for found in newest), newest
    begins = "cat /var/lib/demo/s3/archive/enforced/*.pdf | head -c 5"
    stored = kubectl("-n", "demo", "exec", "deploy/s3", "--", "sh", "-c", begins)
    assert stored == "%PDF-"
    health = json.loads(_get("/api/admin/scheduler/health"))
    assert health["status"] == "healthy", health
    jobs = json.loads(_get("/api/admin/scheduler/jobs?report_type=executive_dashboard"))["jobs"]
    assert "enforced-1" in json.dumps(jobs)
    (page,) = (name for name in outcome["outputs"] if name.endswith(".html"))
    assert "<html" in _get(f"/api/admin/reports/files/{TEAM}/{page}")[:2000]


def test_a_run_does_not_reach_the_database_of_the_release(enforced: Path) -> None:
    """Although its Secret has the true password; the reason says what was not reached."""
    TEAM_OF_DEMO.copy_secret("postgres", of=RELEASE, to="report-stolen")
    source = {
        "name": "history",
        "postgres": {
            "connection": {"secretRef": {"name": "report-stolen"}},
            "query": "SELECT count(*) FROM report_scheduler.runs",
        },
    }
    TEAM_OF_DEMO.apply(
        "thief",
        report={
            "title": "Not ours",
            "sources": [source],
            "template": {"builtin": "executive_dashboard"},
            "formats": ["csv"],
        },
    )
    TEAM_OF_DEMO.start("thief", "thief-1")
    outcome = TEAM_OF_DEMO.outcome("thief", "thief-1", SECONDS)
    assert outcome["outcome"] == "Failed", outcome
    failure = TEAM_OF_DEMO.status("thief")["lastFailure"]
    assert failure["reason"] == "DatabaseUnavailable", failure
    assert "timeout" in failure["message"].lower(), failure


def test_helm_test_makes_its_report(enforced: Path) -> None:
    """It has the API server to ask, and no policy of its own."""
    up.run("helm", "test", RELEASE, "--namespace", RELEASE, "--timeout", "400s")


def test_the_operator_is_led_by_one_who_reaches_all(enforced: Path) -> None:
    """A new operator pod, all of whose connections begin under the policies."""
    kubectl("-n", RELEASE, "rollout", "restart", f"deployment/{OPERATOR}")
    up.rolled_out(RELEASE, f"deployment/{OPERATOR}")
    TEAM_OF_DEMO.apply("afterwards")
    TEAM_OF_DEMO.start("afterwards", "afterwards-1")
    outcome = TEAM_OF_DEMO.outcome("afterwards", "afterwards-1", SECONDS)
    assert outcome["outcome"] == "Succeeded", outcome
