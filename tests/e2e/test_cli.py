"""`report-scheduler` through a real `kubectl port-forward`, and a finished file through the API."""

from __future__ import annotations

import http.client
import json
import subprocess
from typing import Any

from admin_cli.forward import Installation, port_forward
from tests.e2e.conftest import Team, kubectl

RELEASE = "report-scheduler"


def cli(*arguments: str) -> Any:
    done = subprocess.run(
        ["report-scheduler", *arguments, "-o", "json"], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_status_and_a_run(team: Team) -> None:
    team.apply("listed")
    run = team.run("listed")
    assert cli("status")["status"] in ("healthy", "degraded")
    (job,) = (j for j in cli("jobs", "--limit", "100")["jobs"] if j["namespace"] == team.namespace)
    assert (job["status"], job["outputs"]) == ("succeeded", run["outputs"])
    assert cli("job", job["id"])["log"]


def test_unknown_release_is_named_in_the_error() -> None:
    done = subprocess.run(
        ["report-scheduler", "status", "--release", "nothing-here"],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 69
    assert "nothing-here" in done.stderr


def test_finished_file_is_served() -> None:
    kubectl("-n", "reports", "rollout", "status", "deploy/adaf-reports-files", "--timeout=120s")
    listed = cli("jobs", "--status", "succeeded", "--limit", "100")["jobs"]
    job = next(j for j in listed if j["schedule"] == "market-dashboard")
    path = next(output for output in job["outputs"] if output.endswith(".pdf"))
    with port_forward(Installation(RELEASE, RELEASE, None)) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        connection.request("GET", f"/api/admin/reports/files/reports/{path}")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
        assert answer.read().startswith(b"%PDF-")
        connection.close()
