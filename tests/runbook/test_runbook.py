"""Runs every block of docs/runbook.md in order, against the cluster of `make up`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team, kubectl
from tests.runbook.blocks import Block, read_blocks
from tests.runbook.conftest import RELEASE, Forwards, Shell

REPORTS = Team("reports")
BLOCKS = [b for b in read_blocks() if str(b) != "Before you start 1"]
RUNAWAY = "runaway"

# What a block has to print, beyond doing so without an error.
SAYS: dict[str, tuple[str, ...]] = {
    "Quick Actions 1": (r'"status": "(healthy|degraded)"', r'"status": "failed"', r"^\d+$"),
    "Quick Actions 2": (r"broken-on-purpose .*Failing", "RunFailed", "restarted"),
    "ReportSchedulerFailed, reason failed 1": ("ConfigurationError", "a_table_that_is_not_there"),
    "1. Check Scheduler Health 1": (
        r'"uptime": \d+', r'"queue_depth": \d+', r'"last_heartbeat": "20', r'"error": ".+"',
    ),
    "2. Resource Analysis 1": ("Mem:", "/var/adaf/reports|Filesystem", "report-scheduler"),
    "3. Database Connectivity 1": (r'"ok": true', "state", r"\(\d+ rows?\)"),
    "4. Queue Analysis 1": (r'"success_rate": \d+', r'"jobs_per_minute": \d+'),
    "5. Storage and Output Analysis 1": ("Use%:", r"drwx"),
    "For Failed Report Jobs 1": (r"Failed Job ID: [\w.-]+\.\d+T\d+Z\.\d+$", r'"report_type": "'),
    "For Queue Backup 1": (r"Current queue depth: \d+",),
    "Review Recent Changes 1": (r'"components"', "scheduler"),
    "Analyze Job Patterns 1": (
        '"failure_rate_by_hour"', r'"most_failed_reports": \[\s*\{', r'"common_errors": \[\s*\{',
        r'"slowest_reports": \[\s*\{',
    ),
    "Database Performance Review 1": ("mean_exec_time", "report", "blocked_pid"),
    "Restart Scheduler Service 1": (r'^"(healthy|degraded)"$',),
    "Manual Report Generation 1": (r"reports\.market-dashboard\.", r"reports\.portfolio-perf"),
    "Queue Management 1": (r'"removed":',),
    "Post-Incident Actions 1": (r'"name": "backfill-20250108-20250109-', r'"progress": '),
    "Post-Incident Actions 2": ("backfill-20250108-20250109-",),
}  # fmt: skip

# Tells of each command that fails, with the statuses of its pipeline.
_TRAP = "trap 'echo \"FAILED [${PIPESTATUS[*]}] $BASH_COMMAND\" >&2' ERR\n"
# A search that finds nothing is an answer as well.
_EMPTY_SEARCH = re.compile(r"FAILED \[(0 )*1\] grep ")


@pytest.fixture(scope="module", autouse=True)
def as_it_was(forwards: Forwards) -> Iterator[None]:
    """Restore the release and the demo afterwards."""
    history = json.loads(kubectl_helm("history", RELEASE, "-o", "json"))
    yield
    REPORTS.kubectl("delete", "reportschedule", RUNAWAY, "--ignore-not-found")
    if len(json.loads(kubectl_helm("history", RELEASE, "-o", "json"))) > len(history):
        kubectl_helm("rollback", RELEASE, str(history[-1]["revision"]))
        kubectl("-n", RELEASE, "rollout", "status", "deploy/report-scheduler-adaf-report-scheduler")


def kubectl_helm(*arguments: str) -> str:
    from tests.support.chart import run

    done = run("helm", "-n", RELEASE, *arguments)
    assert done.code == 0, done.err
    return done.out


def runaway_pod() -> str:
    """The pod of a new run that takes long."""
    postgres = {
        "connection": {"secretRef": {"name": "report-db"}}, "query": "SELECT pg_sleep(600)",
        "timeout": "15m",
    }  # fmt: skip
    REPORTS.apply(
        RUNAWAY,
        reportType=RUNAWAY,
        report={
            "title": "Too much",
            "sources": [{"name": "rows", "postgres": postgres}],
            "template": {"builtin": "executive_dashboard"},
            "formats": ["csv"],
        },
    )
    REPORTS.start(RUNAWAY, RUNAWAY)
    selector = f"batch.kubernetes.io/job-name={RUNAWAY}"
    template = "jsonpath={.items[?(@.status.phase=='Running')].metadata.name}"
    return wait_for(
        "it runs", lambda: REPORTS.kubectl("get", "pods", "-l", selector, "-o", template), 120
    )


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.needs], ids=str)
def test_block_succeeds(block: Block, shell: Shell) -> None:
    variables = {"POD": runaway_pod()} if '"$POD"' in block.text else {}
    answer = shell.run(_TRAP + block.text, **variables)
    failed = [line for line in answer.err.splitlines() if line.startswith("FAILED [")]
    assert [line for line in failed if not _EMPTY_SEARCH.match(line)] == [], answer
    assert answer.code == 0 or failed, answer
    for pattern in SAYS.get(str(block), ()):
        assert re.search(pattern, answer.out, re.MULTILINE), f"{pattern}\n{answer}"


def test_blocks_that_are_not_run_declare_their_needs() -> None:
    assert {block.needs for block in BLOCKS} == {"", "metrics-server", "a container that restarted"}


def test_every_expectation_belongs_to_a_block() -> None:
    assert set(SAYS) <= {str(block) for block in BLOCKS}


def test_run_whose_pod_was_deleted_is_recorded_with_a_reason(forwards: Forwards) -> None:
    run = REPORTS.outcome(RUNAWAY, RUNAWAY)
    assert run["outcome"] == "Failed"
    assert run["reason"] in ("InternalError", "NodeLost")
    assert run["message"]
