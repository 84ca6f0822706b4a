"""Runs that need a database or a mail server, and their messages where these fail."""

from __future__ import annotations

import json
from typing import Any

import yaml

from hack.testbed.waiting import wait_for
from hack.up import certificate
from tests.e2e.conftest import SECONDS, Team, kubectl


def query(text: str) -> dict[str, Any]:
    """`spec.report` with one query to the demo's database."""
    postgres = {"connection": {"secretRef": {"name": "report-db"}}, "query": text}
    return {
        "title": "A query",
        "sources": [{"name": "rows", "postgres": postgres}],
        "template": {"builtin": "executive_dashboard"},
        "formats": ["csv"],
    }


def test_missing_table_fails_without_retry(team: Team) -> None:
    team.copy_secret("report-db")
    team.apply("missing", report=query("SELECT *\nFROM nowhere"), retry={"limit": 3})
    run = team.run("missing")
    assert run["reason"] == "ConfigurationError"
    assert "spec.report.sources[rows].postgres.query line 2, column 6" in run["message"]
    assert "nowhere" in run["message"]
    pods = json.loads(team.kubectl("get", "pods", "-o", "json"))["items"]
    assert len(pods) == 1  # trying again cannot mend it


def test_wrong_password_does_not_appear_in_status(team: Team) -> None:
    team.copy_secret("report-db", password="not-the-right-one")
    team.apply("refused", report=query("SELECT 1"))
    run = team.run("refused")
    assert run["reason"] == "ConfigurationError"  # waiting does not mend it
    assert "not-the-right-one" not in json.dumps(team.get("refused"))
    assert "report-db" in run["message"]


def test_run_over_its_timeout_fails(team: Team) -> None:
    team.copy_secret("report-db")
    team.apply("slow", report=query("SELECT pg_sleep(600)"), timeout="10s")
    run = team.run("slow")
    assert run["reason"] == "Timeout"
    assert "spec.timeout" in run["message"]
    assert run["runSeconds"] < 120


def test_mail_is_sent_once_after_the_server_was_down(team: Team) -> None:
    host = f"mail.{team.namespace}.svc"
    tls = certificate(host)
    team.secret("demo-mail-tls", tls)
    server = {
        "host": host,
        "port": "2525",
        "from": "reports@example.com",
        "security": "starttls",
        "ca.crt": tls["tls.crt"],
    }
    team.secret("report-smtp", server)
    deployment = json.loads(kubectl("-n", "demo", "get", "deploy", "mail", "-o", "json"))
    service = json.loads(kubectl("-n", "demo", "get", "service", "mail", "-o", "json"))
    for body, spec in (
        (deployment, {**deployment["spec"], "replicas": 0}),
        (service, {"selector": {"app": "mail"}, "ports": [{"port": 2525}]}),
    ):
        manifest = {"apiVersion": body["apiVersion"], "kind": body["kind"], "spec": spec}
        team.kubectl(
            "apply", "--server-side", "-f", "-",
            text=yaml.safe_dump({**manifest, "metadata": {"name": "mail"}}),
        )  # fmt: skip
    email = {
        "to": ["one@example.com", "two@example.com"],
        "subject": "{{ title }}",
        "attach": ["csv"],
        "smtp": {"secretRef": {"name": "report-smtp"}},
    }
    team.apply("mailed", delivery={"email": email}, retry={"limit": 4})
    team.start("mailed", "run-1")

    def failed_pods() -> int:
        return int(
            json.loads(team.kubectl("get", "job", "run-1", "-o", "json"))["status"].get("failed", 0)
        )

    wait_for("an attempt that reached nobody", lambda: failed_pods() >= 1, SECONDS)
    team.kubectl("scale", "deployment/mail", "--replicas=1")
    team.kubectl("rollout", "status", "deployment/mail", "--timeout=120s")
    run = team.outcome("mailed", "run-1")
    assert run["outcome"] == "Succeeded", run
    kept = team.kubectl("exec", "deploy/mail", "--", "sh", "-c", "cat /var/lib/demo/mail/*.eml")
    told = [line for line in kept.splitlines() if line.startswith("X-Envelope-To:")]
    assert sorted(told) == ["X-Envelope-To: one@example.com", "X-Envelope-To: two@example.com"]
    assert kept.count("\nMessage-ID:") == 2
    assert len(set(team.files())) == len(team.files())
    assert sum(name.endswith(".csv") for name in team.files()) == 1
