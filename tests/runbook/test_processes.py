"""`ps`, `pgrep` and `kill` of the runbook, on the machine that is the node."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team, kubectl
from tests.e2e.test_services import query
from tests.runbook.conftest import RELEASE


def found_by_name(pattern: str, cgroup: str) -> list[int]:
    """Pids that `pgrep -f` finds in this cgroup; other runs and clusters are left alone."""
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return [pid for pid in map(int, found.stdout.split()) if cgroup in _cgroups(pid)]


def _cgroups(pid: int) -> str:
    try:
        # A pod's cgroup has its uid; with underscores where systemd makes it.
        return Path(f"/proc/{pid}/cgroup").read_text().replace("_", "-")
    except OSError:
        return ""  # it has ended


def test_pgrep_finds_the_scheduler_by_name() -> None:
    name = "app.kubernetes.io/name=adaf-report-scheduler"
    only = "jsonpath={.items[0].metadata.uid}"
    uid = kubectl("-n", RELEASE, "get", "pods", "-l", name, "-o", only)
    assert found_by_name("report-scheduler", uid)


def terminate_generator(team: Team, *known: str) -> str:
    """Send TERM to a generator at work, as `pkill -TERM -f report-generator`; its pod."""

    def at_work() -> str | None:
        listed = team.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()
        for pod in listed:
            if pod not in known and "stage sources" in team.kubectl("logs", pod, check=False):
                return pod
        return None

    pod = wait_for("a generator is at work", at_work, 180)
    assert pod is not None
    uid = team.kubectl("get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
    (pid,) = found_by_name("report-generator", uid)
    os.kill(pid, signal.SIGTERM)
    return pod


@pytest.mark.parametrize("limit", [0, 1])
def test_terminated_generator_is_recorded_and_retried(team: Team, limit: int) -> None:
    team.copy_secret("report-db")
    report = query("SELECT pg_sleep(600)")
    report["sources"][0]["postgres"]["timeout"] = "15m"
    team.apply("runaway", reportType="runaway", report=report, retry={"limit": limit})
    team.start("runaway", "run-1")
    first = terminate_generator(team)
    if limit:
        terminate_generator(team, first)
    run = team.outcome("runaway", "run-1")
    assert run["outcome"] == "Failed"
    assert "SIGTERM" in run["message"]
    assert [file for file in team.files() if not file.endswith(".lock")] == []
