"""On-call's shell: the cluster of `make up`, its ports on this machine, the programs used."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import installed, kubectl, make_team, team
from tests.runbook.blocks import read_blocks
from tests.support.waiting import wait_for

__all__ = ["installed", "make_team", "team"]

ROOT = Path(__file__).resolve().parents[2]
API = "http://localhost:3000"
RELEASE = "report-scheduler"
DEPLOYMENT = "deploy/report-scheduler-adaf-report-scheduler"
OUTPUT = Path("/var/adaf/reports")
BLOCK_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """What a block printed, and its exit code."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


@dataclass
class Shell:
    """A shell as on-call has it after "Before you start"."""

    environment: dict[str, str]

    def run(self, text: str, **variables: str) -> Answer:
        """One block; it ends with the first command that fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            env=os.environ | self.environment | variables,
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=BLOCK_SECONDS,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Forward:
    """One of the runbook's port-forwards; it is started again where its pod was replaced."""

    command: str
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def port(self) -> int:
        return int(self.command.rpartition(":")[2])

    def ensure(self) -> None:
        """The port answers."""

        def open_() -> bool:
            if self._process is None or self._process.poll() is not None:
                with self.log.open("ab") as log:
                    self._process = subprocess.Popen(self.command.split(), stdout=log, stderr=log)
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2):
                    return True
            except OSError:
                return False

        wait_for(self.command, open_, 90, self.log.read_text)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass
class Forwards:
    """All three."""

    all: list[Forward]

    def ensure(self) -> None:
        """Every port answers, and the API behind its own."""
        for forward in self.all:
            forward.ensure()
        wait_for("the API", self._api, 120)

    def _api(self) -> bool:
        try:
            with urllib.request.urlopen(f"{API}/api/admin/scheduler/status", timeout=10) as answer:
                return bool(json.load(answer)["status"] != "down")
        except OSError:
            self.all[0].stop()  # it leads to a pod that is gone
            self.all[0].ensure()
            return False


def secret(name: str, key: str) -> str:
    """A value of a Secret of the release."""
    template = f"{{{{index .data {json.dumps(key)} | base64decode}}}}"
    return kubectl("-n", RELEASE, "get", "secret", name, "-o", f"go-template={template}")


@pytest.fixture(scope="session")
def forwards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwards]:
    logs = tmp_path_factory.mktemp("forwards")
    (block,) = [b for b in read_blocks() if b.heading == "Before you start" and b.number == 1]
    commands = [line for line in block.text.splitlines() if "port-forward" in line]
    made = Forwards([Forward(line, logs / f"{n}.log") for n, line in enumerate(commands)])
    assert [forward.port for forward in made.all] == [3000, 6379, 5432]
    with ExitStack() as stack:
        for forward in made.all:
            stack.callback(forward.stop)
        made.ensure()
        yield made


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for PATH: `sudo` and `systemctl` as on a host that has our unit.

    The reports are where the runbook looks for them, as on a machine that mounts the volume.
    """
    directory = tmp_path_factory.mktemp("bin")
    unit = ROOT / "hack" / "systemd" / "adaf-report-scheduler.service"
    wrapper = ROOT / "hack" / "systemd" / "adaf-report-scheduler"
    assert "ExecStart=/usr/local/bin/adaf-report-scheduler" in unit.read_text()
    scripts = {
        "sudo": 'exec "$@"',
        "systemctl": f'[ "$*" = "restart adaf-report-scheduler" ]\nexec {wrapper} restart',
    }
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\nset -e\n{text}\n")
        (directory / name).chmod(0o755)
    claim = kubectl("-n", "reports", "get", "pvc", "adaf-reports", "-o", "json")
    volume = json.loads(claim)["spec"]["volumeName"]
    spec = json.loads(kubectl("get", "pv", volume, "-o", "json"))["spec"]
    mounted = not OUTPUT.exists() and not OUTPUT.is_symlink()
    if mounted:
        OUTPUT.parent.mkdir(parents=True, exist_ok=True)
        OUTPUT.symlink_to((spec.get("hostPath") or spec.get("local"))["path"])
    try:
        yield directory
    finally:
        if mounted:
            OUTPUT.unlink()
            OUTPUT.parent.rmdir()


@pytest.fixture
def shell(forwards: Forwards, host: Path) -> Shell:
    for name in ("curl", "jq", "psql", "redis-cli", "iostat", "top", "git", "helm"):
        assert shutil.which(name), f"no `{name}` on PATH: run `make packages`"
    forwards.ensure()
    return Shell(
        {
            "PATH": f"{host}:{os.environ['PATH']}",
            "PGPASSWORD": secret("postgres", "password"),
            "REDISCLI_AUTH": secret("redis", "password"),
            "TERM": "dumb",
        }
    )


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of one call of the API."""
    request = urllib.request.Request(
        API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
