"""The commands of README and docs, with the real programs, against a real API server.

Only the tests' cluster has no node: `report-scheduler` and `curl` are led to an admin API that runs
here, `sudo` writes below a directory, and `make` says what it would do.

"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.admin_api import ApiProcess
from hack.testbed.controlplane import ControlPlane, control_plane, free_port
from hack.testbed.namespace import CORE, MERGE, SCHEDULES, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.programs import project_program
from report_operator.crd.verdict import spec_problems
from tests.support.chart import RELEASE, render, run
from tests.support.docs import EXECUTED, NOT_EXECUTED, ROOT, Block, Command, blocks, commands
from tests.support.examples import BACKFILL, SCHEDULE, examples

TEAM = "reports"
TO_EXECUTE = [
    command
    for command in commands()
    if command.program in EXECUTED and command.on_one_line not in NOT_EXECUTED
]
PLACEHOLDERS = {"NAME": "positions", "DIR": "docs/examples/weekly-positions"}
# What else than 0 is right here, and what is said then.
ENDS: dict[str, tuple[int, str]] = {
    "report-scheduler retry reports.market-dashboard.20261124T050000Z.1": (
        1, r"reports\.market-dashboard\.20261124T050000Z\.1",  # no such run here
    ),
    "report-scheduler dead-letters retry --all": (1, r"--yes"),  # nobody is there to ask
    "report-scheduler policy-sweep": (1, r"positions"),  # there from before the policy
}  # fmt: skip
# Programs that stand first on PATH. `$@` are the arguments of the documentation.
STUBS = {
    "curl": 'exec {curl} --fail-with-body "${{@//localhost:3000/127.0.0.1:{port}}}"',
    # The definitions are there from before the chart.
    "helm": 'exec {helm} "$@" --take-ownership',
    "make": 'exec {make} -n "$@"',
    "report-scheduler": '[ "$1" = policy-sweep ] || set -- "$@" --url http://127.0.0.1:{port}\n'
    'exec {report_scheduler} "$@"',
    "sudo": 'set -- "${{@/#\\/etc\\//{host}/etc/}}"\nexec "${{@/#\\/usr\\//{host}/usr/}}"',
    "systemctl": '[ "$*" = daemon-reload ]',
}


@dataclass(frozen=True)
class Shell:
    """A shell in a copy of the checkout, with a kubeconfig for the team's namespace."""

    directory: Path
    host: Path  # stands for the on-call host's /
    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        for placeholder, value in PLACEHOLDERS.items():
            text = re.sub(rf"(?<![\w-]){placeholder}(?!\w)", value, text)
        return subprocess.run(
            ["bash", "-uo", "pipefail", "-c", text], env=os.environ | self.environment,
            cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture(scope="module")
def operator(
    plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The schedules of documentation and demo are there, and an operator that leads."""
    team = Namespace(plane, TEAM)
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": TEAM}})
    for example in examples(SCHEDULE, BACKFILL):
        plural = f"{example.kind.lower()}s"
        team.call("POST", team.path(SCHEDULES, plural), example.in_namespace(TEAM))
    made = OperatorProcess(tmp_path_factory.mktemp("operator"), plane.kubeconfig, TEAM)
    made.settings["metricsPort"] = free_port()
    made.start(same_lease=True)
    try:
        made.wait_until_leading()
        team.wait_until_observed("positions")
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def shell(
    plane: ControlPlane, operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    directory = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "charts", "docs", "hack", "pyproject.toml", "requirements"):
        (directory / name).symlink_to(ROOT / name)
    config = json.loads(plane.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = TEAM
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    api = ApiProcess(plane.kubeconfig, TEAM, operator.config_file, directory / "api.log")
    api.start()
    try:
        host = tmp_path_factory.mktemp("host")
        for name in ("usr/local/bin", "etc/systemd/system", "etc/default"):
            (host / name).mkdir(parents=True)
        programs = _stubs(directory / "bin", api.api.port, host)
        generator = Path(project_program("report-generator")).parent
        path = f"{programs}:{os.environ['PATH']}:{generator}"
        made = Shell(directory, host, {"PATH": path, "KUBECONFIG": str(kubeconfig)})
        _install(made, plane)
        yield made
    finally:
        api.end()


def _stubs(directory: Path, port: int, host: Path) -> Path:
    directory.mkdir()
    real = {name: shutil.which(name) for name in ("curl", "make", "jq", "helm", "kubectl")}
    assert all(real.values()), f"not on PATH: {real}"
    words = {
        **real, "port": port, "host": str(host).replace("/", "\\/"),
        "report_scheduler": project_program("report-scheduler"),
    }  # fmt: skip
    for name, text in STUBS.items():
        (directory / name).write_text("#!/bin/bash\n" + text.format(**words) + "\n")
        (directory / name).chmod(0o755)
    return directory


def _install(shell: Shell, plane: ControlPlane) -> None:
    """As the README says, and what the StatefulSet's controller would make of it."""
    command = next(c for c in TO_EXECUTE if c.program == "helm" and c.block.file == "README.md")
    done = shell.run(command.text)
    assert done.returncode == 0, done.stderr
    claim: dict[str, Any] = {
        "metadata": {"name": "data-postgres-0"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    release = Namespace(plane, RELEASE)
    release.call("POST", release.path(CORE, "persistentvolumeclaims"), claim)
    # Nobody here takes the finalizer off when it is deleted.
    path = release.path(CORE, "persistentvolumeclaims", "data-postgres-0")
    release.call("PATCH", path, {"metadata": {"finalizers": []}}, MERGE)


@pytest.mark.parametrize("command", TO_EXECUTE, ids=str)
def test_command_of_the_docs_works(command: Command, shell: Shell) -> None:
    done = shell.run(command.text)
    code, said = ENDS.get(command.on_one_line, (0, ""))
    assert done.returncode == code, done
    assert re.search(said, done.stdout + done.stderr), done
    if command.output.startswith("NAME"):  # a table: the columns are those that are shown
        assert done.stdout.splitlines()[0].split() == command.output.splitlines()[0].split()


def test_on_call_host_has_what_the_unit_starts(shell: Shell) -> None:
    for command in TO_EXECUTE:
        if command.program == "sudo":
            assert shell.run(command.text).returncode == 0
    unit = (shell.host / "etc/systemd/system/adaf-report-scheduler.service").read_text()
    started = re.search(r"^ExecStart=/(\S+) restart$", unit, re.MULTILINE)
    assert started
    script = shell.host / started[1]
    assert os.access(script, os.X_OK)
    defaults = shell.host / "etc/default/adaf-report-scheduler"
    assert f"defaults=/{defaults.relative_to(shell.host)}" in script.read_text()
    for line in defaults.read_text().splitlines():
        assert line.partition("=")[0] in script.read_text()


def test_every_expected_end_belongs_to_a_command() -> None:
    assert set(ENDS) <= {command.on_one_line for command in TO_EXECUTE}


PARTS = [block for block in blocks("yaml") if "kind" not in yaml.safe_load(block.text)]
OF_A_SCHEDULE = [block for block in PARTS if block.file == "docs/authoring.md"]
VALUES = [block for block in PARTS if block not in OF_A_SCHEDULE]


@pytest.mark.parametrize("block", OF_A_SCHEDULE, ids=str)
def test_part_of_a_schedule_in_the_docs_is_valid(block: Block) -> None:
    part = yaml.safe_load(block.text)
    columns = [{"weight": 1, "price": 2, "batch": "00417"}]
    report = {
        "title": "A test",
        "sources": part.pop("sources", None)
        or [{"name": "positions", "inline": {"rows": columns}}],
        "template": {"builtin": "executive_dashboard"},
        "formats": part.pop("formats", None) or ["pdf", *part.get("formatOptions", ("csv",))],
        "formatOptions": part.pop("formatOptions", None),
        "waitFor": part.pop("waitFor", None),
    }
    spec = {
        "reportType": "a_test",
        "schedule": "0 6 * * *",
        "report": {key: value for key, value in report.items() if value is not None},
        **part,
    }
    assert spec_problems(spec, datetime(2026, 11, 24, tzinfo=UTC)) == []


@pytest.mark.parametrize("block", VALUES, ids=str)
def test_values_of_the_docs_change_the_chart(block: Block) -> None:
    plain = {"teamNamespaces": [TEAM]}
    assert render({**plain, **yaml.safe_load(block.text)}) != render(plain)


SETTINGS = sorted(
    {
        (page.name, found)
        for page in (ROOT / "README.md", ROOT / "docs" / "installing.md")
        for found in re.findall(r"`--set ([a-zA-Z.]+=[\w-]+)`", page.read_text())
    }
)


@pytest.mark.parametrize(("page", "setting"), SETTINGS)
def test_setting_within_a_sentence_is_a_value(page: str, setting: str) -> None:
    chart = str(ROOT / "charts" / "adaf-report-scheduler")
    done = run(
        "helm", "template", RELEASE, chart, "--set", "teamNamespaces={reports}",
        "--set", "storePasswords=anew",
        "--set", setting.replace("NAME", "a-name"),
    )  # fmt: skip
    assert done.code == 0, done.err
