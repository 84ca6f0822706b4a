"""On-call's shell: the cluster of `make up`, its ports on localhost, the programs used."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.waiting import wait_for
from tests.e2e.conftest import installed, kubectl, make_team, team
from tests.runbook.blocks import read_blocks
from tests.support.loopback import loopback_port, private_loopback
from tests.support.volumes import claim_directory

__all__ = ["installed", "make_team", "team"]

ROOT = Path(__file__).resolve().parents[2]
API = "http://localhost:3000"
RELEASE = "report-scheduler"
DEPLOYMENT = "deploy/report-scheduler-adaf-report-scheduler"
API_DEPLOYMENT = f"{DEPLOYMENT}-api"
OUTPUT = Path("/var/adaf/reports")
BLOCK_SECONDS = 300
PORTS = (3000, 6379, 5432)


@dataclass(frozen=True)
class Answer:
    """Output and exit code of a block."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


@dataclass
class Shell:
    """A shell as "Before you start" leaves it."""

    checkout: Path
    environment: dict[str, str] = field(repr=False)  # it has passwords

    def run(self, text: str, **variables: str) -> Answer:
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", text],
            env=os.environ | self.environment | variables,
            cwd=self.checkout, capture_output=True, text=True, check=False, timeout=BLOCK_SECONDS,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Forwards:
    """`make forward`, which reopens the three ports when a pod is replaced."""

    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hack.forward"], cwd=ROOT, stdout=log, stderr=log
            )
        self.ensure()

    def ensure(self) -> None:
        """Wait until all ports answer."""

        def answer() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            return all(map(_open, PORTS)) and _scheduler() in ("healthy", "degraded")

        wait_for("the forwarded ports", answer, 180, self.log.read_text)

    def stop(self) -> None:
        """Ctrl-C."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _scheduler() -> str:
    try:
        return str(call("GET", "/api/admin/scheduler/status")[1].get("status"))
    except (OSError, ValueError, http.client.HTTPException):
        return ""


def secret(name: str, key: str) -> str:
    """A value of a Secret of the release."""
    template = f"{{{{index .data {json.dumps(key)} | base64decode}}}}"
    return kubectl("-n", RELEASE, "get", "secret", name, "-o", f"go-template={template}")


@pytest.fixture(scope="package", autouse=True)
def loopback(installed: None) -> Iterator[None]:
    """Give the blocks a localhost of their own, so that `make forward` may hold its ports.

    A cluster elsewhere could not be reached from there, and a user who is not root may not make
    such a network: these use the machine's own ports, which have to be free.

    """
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    port = loopback_port(server)
    with ExitStack() as stack:
        if port is not None and os.geteuid() == 0:
            stack.enter_context(private_loopback([port]))
        yield


@pytest.fixture(scope="package")
def forwards(loopback: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwards]:
    (block,) = [b for b in read_blocks() if str(b) == "Before you start 1"]
    written = [line.rpartition(" ")[2] for line in block.text.splitlines()]
    assert written == [f"{port}:{port}" for port in PORTS]
    made = Forwards(tmp_path_factory.mktemp("forward") / "log")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="package")
def host(loopback: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for PATH with `sudo` and `systemctl`, as on a host with our unit.

    The reports are at the runbook's path, as on a machine that mounts the volume.

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
    mounted = not OUTPUT.exists() and not OUTPUT.is_symlink()
    if mounted:
        OUTPUT.parent.mkdir(parents=True, exist_ok=True)
        OUTPUT.symlink_to(claim_directory("reports", "adaf-reports"))
    try:
        yield directory
    finally:
        if mounted:
            OUTPUT.unlink()
            OUTPUT.parent.rmdir()


@pytest.fixture(scope="package")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the uncommitted changes of charts/, since a block may leave files."""
    made = tmp_path_factory.mktemp("checkout") / "adaf-report-scheduler"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(made)], check=True)
    shutil.copytree(ROOT / "charts", made / "charts", dirs_exist_ok=True)
    return made


@pytest.fixture
def shell(forwards: Forwards, host: Path, checkout: Path) -> Shell:
    for name in ("curl", "jq", "psql", "redis-cli", "iostat", "top", "git", "helm"):
        assert shutil.which(name), f"no `{name}` on PATH: run `make packages`"
    # A port leads to a pod that goes when a rollout is over.
    for deployment in (DEPLOYMENT, API_DEPLOYMENT):
        kubectl("-n", RELEASE, "rollout", "status", deployment, "--timeout=180s")
    forwards.ensure()
    return Shell(
        checkout,
        {
            "PATH": f"{host}:{os.environ['PATH']}",
            "PGPASSWORD": secret("postgres", "password"),
            "REDISCLI_AUTH": secret("redis", "password"),
            "TERM": "dumb",
        },
    )


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of one API call."""
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
