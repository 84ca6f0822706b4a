"""The admin API as a process, and calls of it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace
from hack.testbed.programs import project_program
from hack.testbed.waiting import wait_for

SCHEDULER = "/api/admin/scheduler"


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    text: str
    headers: dict[str, str]  # lower case names

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Api:
    """Calls the API as curl does through a port-forward."""

    port: int

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None:
                sent.setdefault("Content-Type", "application/json")
            text = body if isinstance(body, str | None) else json.dumps(body)
            connection.request(method, path, text, sent)
            answer = connection.getresponse()
            kind = (answer.getheader("Content-Type") or "").split(";")[0]
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, kind, answer.read().decode(), told)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        answer = self.get(f"{SCHEDULER}/jobs?{text}")
        assert answer.status == 200, answer.text
        return list(answer.body["jobs"])


@dataclass
class ApiProcess:
    """`report-scheduler-api`; it can be killed and restarted on the same port."""

    kubeconfig: Path
    namespace: str  # the operator's own
    config_file: Path
    log_file: Path
    api: Api = field(default_factory=lambda: Api(free_port()))
    network: bool = False  # listen beyond loopback
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = project_program("report-scheduler-api")
        command = [
            program, f"--port={self.api.port}", "--health-port=0",
            f"--config={self.config_file}", *(["--network"] if self.network else []),
        ]  # fmt: skip
        environment = {
            **os.environ, "KUBECONFIG": str(self.kubeconfig), "POD_NAMESPACE": self.namespace
        }  # fmt: skip
        with self.log_file.open("ab") as stream:
            self._process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        wait_for("the API", self._ready, 60, self.log_file.read_text)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """May be called from any thread."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(20) == 0, self.log_file.read_text()

    def audit(self) -> list[str]:
        """The audit messages in its log."""
        lines = [json.loads(line)["message"] for line in self.log_file.read_text().splitlines()]
        return [line.removeprefix("audit: ") for line in lines if line.startswith("audit: ")]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_file.read_text()
        try:
            return self.api.get(f"{SCHEDULER}/health").status == 200
        except OSError:
            return False


def fail_once(namespace: Namespace, name: str = "daily", job: str = "run-1") -> None:
    """Record one failed run of a new schedule."""
    namespace.apply(name, reportType=f"type_{name}")
    namespace.wait_until_observed(name)
    namespace.start(name, job)
    namespace.end_pod(namespace.pod_of(job), exit_code=78, message="no such table")
    wait_for("its outcome", lambda: namespace.status(name).get("runCounts"))
