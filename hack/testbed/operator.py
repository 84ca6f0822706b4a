"""An operator of this checkout as a process, for one namespace."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.testbed.controlplane import free_port
from hack.testbed.programs import project_program
from hack.testbed.waiting import wait_for


@dataclass
class OperatorProcess:
    """`report-scheduler run`; it can be killed and restarted."""

    directory: Path
    kubeconfig: Path
    namespace: str
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, *, same_lease: bool = False) -> None:
        """Start it with a new Lease, so that it need not wait for that of a killed predecessor."""
        config: dict[str, Any] = {
            "runner": {"image": "localhost/none:tests"},
            "watchNamespaces": [self.namespace],
            "healthPort": self.port,
            "metricsPort": 0,
            "resyncSeconds": 5,
            "leaseSeconds": 5,
            "leaseName": "shared" if same_lease else f"life-{uuid.uuid4().hex[:8]}",
            **self.settings,
        }
        # No node takes the pods here: runs give their places back only where a test says so.
        config["admission"] = {"startGraceSeconds": 3600} | config.get("admission", {})
        self.config_file.write_text(json.dumps(config))
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [project_program("report-scheduler"), "run", "--config", str(self.config_file)],
                env={
                    **os.environ,
                    "KUBECONFIG": str(self.kubeconfig),
                    "POD_NAMESPACE": self.namespace,
                },
                stdout=log,
                stderr=log,
            )

    @property
    def config_file(self) -> Path:
        """The configuration of the last start."""
        return self.directory / f"operator-{self.port}.json"

    @property
    def log_file(self) -> Path:
        return self.directory / f"operator-{self.port}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        process = self._process  # the next life may begin as soon as this one is over
        assert process is not None
        process.kill()
        process.wait()

    def terminate(self) -> int:
        """SIGTERM, as a rollout sends it; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def health(self) -> dict[str, Any]:
        """The body of /healthz; empty while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as got:
                answer: dict[str, Any] = json.load(got)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                return {"status": error.code}
        except OSError:
            return {}

    def wait_until_leading(self, seconds: float = 60.0) -> None:
        wait_for("it leads", lambda: self.health().get("leading"), seconds, self.log)

    def wait_for_resyncs(self, count: int = 2) -> None:
        """Wait until this many resyncs that began after the call have ended."""
        enough = self.health().get("resyncs", 0) + count + 1
        wait_for("resyncs", lambda: self.health().get("resyncs", 0) >= enough, 60, self.log)

    def log(self) -> str:
        return self.log_file.read_text()[-6000:]
