"""The commands of `report-scheduler`, against a real admin API."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hack.testbed.admin_api import Api, fail_once
from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace
from hack.testbed.waiting import wait_for
from tests.support.cli import Cli

# Says what `kubectl port-forward` says of a forwarded port, and stays until it is ended.
KUBECTL = """\
#!/bin/sh
echo "$@" > {directory}/arguments
echo "Forwarding from 127.0.0.1:{port} -> 3000"
echo "Forwarding from [::1]:{port} -> 3000"
trap 'echo ended > {directory}/ended; exit 0' TERM
while :; do sleep 0.1; done
"""
BROKEN_KUBECTL = """\
#!/bin/sh
echo 'Error from server (NotFound): deployments.apps "x" not found' >&2
exit 1
"""


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_status_jobs_and_retry(namespace: Namespace, api: Api, cli: Cli) -> None:
    fail_once(namespace)
    (job,) = api.jobs(status="failed")
    wait_for("it is seen", lambda: ["failing", "1"] in words(cli("status").out))
    status = cli("status")
    assert (status.code, status.err) == (0, "")
    assert words(status.out)[0] == ["status", "healthy"]
    listed = cli("jobs", "--status", "failed", "--since", "24h")
    head, line = listed.out.splitlines()
    assert head.split() == ["ID", "TYPE", "STATUS", "AT", "REASON", "MESSAGE"]
    assert line.startswith(job["id"])
    assert "no such table" in line
    assert "\x1b" not in listed.out
    assert cli("jobs", "--status", "succeeded").out == "none\n"
    assert "no such table" in cli("job", job["id"]).out
    dead = cli("dead-letters")
    assert job["id"] in dead.out

    made = cli("retry", job["id"], "--key", "tonight")
    assert (made.code, made.err) == (0, "")
    attempt = next(j for j in api.jobs() if j["attempt"] == 2)
    assert made.out.startswith(f"{attempt['id']} is ")
    assert cli("retry", job["id"], "--key", "tonight").out.split()[0] == attempt["id"]
    assert len(namespace.jobs()) == 2
    assert cli("dead-letters").out == "none\n"
    asked = [e["message"] for e in namespace.list("/api/v1", "events") if "Retry" in e["reason"]]
    assert len(asked) == 1


def test_json_output_is_the_apis_answer(namespace: Namespace, api: Api, cli: Cli) -> None:
    fail_once(namespace)
    assert json.loads(cli("jobs", "-o", "json").out) == api.get(
        "/api/admin/scheduler/jobs?limit=20"
    ).body  # fmt: skip
    (job,) = api.jobs()
    found = json.loads(cli("job", job["id"], "-o", "json").out)
    assert found["log_command"].endswith("job/run-1")


def test_generate_queue_and_cleanup(namespace: Namespace, api: Api, cli: Cli) -> None:
    namespace.apply("daily", reportType="dashboard", schedule="0 6 * * *",
                    concurrencyPolicy="Allow")  # fmt: skip
    namespace.wait_until_observed("daily")
    today = datetime.now(UTC).date()
    days = [f"{today - timedelta(days=number)}" for number in (1, 2, 3)]
    for day, priority in zip(days, ("high", "low", "high"), strict=True):
        made = cli("generate", "dashboard", "--date", day, "--priority", priority)
        assert made.code == 0, made.err
        wait_for("one runs", lambda: namespace.status("daily").get("active") == 1)
    waiting = wait_for(
        "two wait", lambda: len(lines := cli("queue").out.splitlines()) == 3 and lines
    )
    assert isinstance(waiting, list)
    assert [line.split()[3] for line in waiting[1:]] == ["high", "low"]
    assert all("1 of 1 places are taken" in line for line in waiting[1:])
    ids = [line.split()[1] for line in waiting[1:]]
    cleaned = json.loads(cli("cleanup", "--older-than-hours", "0", "--yes", "-o", "json").out)
    assert sorted(cleaned["jobs"]) == sorted(ids)
    wait_for("none waits", lambda: cli("queue").out == "no runs are waiting\n")
    unknown = cli("generate", "unheard_of")
    assert unknown.code == 1
    assert "known types: dashboard" in unknown.err


def test_all_dead_letters_are_retried(namespace: Namespace, api: Api, cli: Cli) -> None:
    fail_once(namespace)
    (job,) = api.jobs(status="failed")
    asked = cli("dead-letters", "retry", "--all")
    assert (asked.code, asked.out) == (1, "")
    assert "retry 1 dead letters? There is no terminal to confirm on: use --yes" in asked.err
    none = cli("dead-letters", "retry")
    assert (none.code, "--all" in none.err) == (1, True)
    some = cli("dead-letters", "retry", "no.such.id.1", job["id"])
    assert some.code == 1  # one of the two
    assert "no.such.id.1" in some.err
    assert ".2 " in some.out
    done = cli("dead-letters", "retry", "--all", "--yes")
    assert (done.code, done.out) == (0, "none\n")


def test_errors_have_messages_and_exit_codes(api: Api, cli: Cli) -> None:
    nothing = cli("job", "no.such?id")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err.startswith("report-scheduler: no job no.such?id is known")
    gone = cli("status", way=("--url", f"http://localhost:{free_port()}"))
    assert gone.code == 69
    assert "is the address right" in gone.err
    assert cli("jobs", "--since", "yesterday").code == 2
    assert cli("status", way=("--url", "localhost:3000")).code == 2
    foreign = cli("status", way=("--url", f"http://127.0.0.2:{api.port}"))
    assert foreign.code in (1, 69)


def test_control_characters_of_messages_are_not_printed(
    namespace: Namespace, api: Api, cli: Cli
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    namespace.end_pod(namespace.pod_of("run-1"), 78, "\x1b[2J[red]gone[/red] \x1b]0;title\x07")
    wait_for("its outcome", lambda: namespace.status("daily").get("runCounts"))
    shown = cli("jobs").out
    assert "[red]gone[/red]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_output_is_coloured_only_on_a_terminal(api: Api, cli: Cli) -> None:
    program = shutil.which("report-scheduler")
    main, side = pty.openpty()
    process = subprocess.Popen(
        [str(program), "status", "--url", cli.url], stdout=side, env=os.environ | {"TERM": "xterm"}
    )
    os.close(side)
    shown = b""
    try:
        while chunk := os.read(main, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(main)
    assert process.wait(20) == 0
    assert b"\x1b[32mhealthy" in shown
    assert "\x1b" not in cli("status", NO_COLOR="1").out


@pytest.fixture
def kubectl(tmp_path: Path) -> Callable[[str], str]:
    """Puts a script first on PATH as `kubectl`."""

    def make(text: str) -> str:
        program = tmp_path / "bin" / "kubectl"
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)
        return f"{program.parent}:{os.environ['PATH']}"

    return make


def test_api_is_reached_through_kubectl_port_forward(
    api: Api, cli: Cli, kubectl: Callable[[str], str], tmp_path: Path
) -> None:
    path = kubectl(KUBECTL.format(directory=tmp_path, port=api.port))
    done = cli("status", way=("--context", "c", "-n", "ops", "--release", "r"), PATH=path)
    assert (done.code, done.err) == (0, "")
    assert "healthy" in done.out
    assert (tmp_path / "arguments").read_text().split() == [
        "--context", "c", "--namespace", "ops", "port-forward", "--address", "127.0.0.1",
        "deployment/r-adaf-report-scheduler-api", ":3000",
    ]  # fmt: skip
    wait_for("the port-forward is ended", (tmp_path / "ended").exists)


def test_kubectl_failure_is_reported(cli: Cli, kubectl: Callable[[str], str]) -> None:
    done = cli("status", way=(), PATH=kubectl(BROKEN_KUBECTL))
    assert (done.code, done.out) == (69, "")
    assert 'deployments.apps "x" not found' in done.err
    assert "or use --url" in done.err
