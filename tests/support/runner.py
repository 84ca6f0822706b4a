"""The runner as its pod starts it: command, environment, definition and Secrets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.result import RunResult
from report_runner.contract.verification import VerificationResult
from report_runner.manifest import Manifest

RUN_ID = "positions.20260105T060000Z.1"
TEMPLATE = "<h1>{{ title }}</h1>{{ table(sources.positions) }}"
SECONDS = 60  # for one run


def _as(user: int | None) -> list[str]:
    """Of the group root, writing only where that may; it reads what this checkout is made of."""
    if user is None:
        return []
    read = "+dac_read_search"
    command = ["setpriv", f"--reuid={user}", "--regid=0", "--clear-groups"]
    return [*command, f"--inh-caps={read}", f"--ambient-caps={read}", "--"]


@dataclass(frozen=True)
class Pod:
    """The directories of a pod, below one directory."""

    root: Path

    @property
    def definition(self) -> Path:
        return self.root / pod.DEFINITION_KEY

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def volume(self) -> Path:
        return self.root / "volume"

    @property
    def termination_log(self) -> Path:
        return self.root / "termination-log"

    def define(
        self,
        query: str,
        email: dict[str, Any] | None = None,
        upload: dict[str, Any] | None = None,
        **report: Any,
    ) -> None:
        """Write the definition as the operator's ConfigMap contains it."""
        channels = {"email": email, "upload": upload}
        definition = Definition.model_validate(
            {
                "namespace": "reports",
                "name": "positions",
                "uid": "u1",
                "reportType": "positions",
                "timeZone": "Europe/Madrid",
                "report": {
                    "title": "Positions",
                    "sources": [
                        {
                            "name": "positions",
                            "postgres": {
                                "connection": {"secretRef": {"name": "report-db"}},
                                "query": query,
                            },
                        }
                    ],
                    "template": {"configMapRef": {"name": "positions"}},
                    "formats": ["pdf", "csv"],
                    **report,
                },
                "delivery": {name: spec for name, spec in channels.items() if spec},
                "output": {"retention": "3650d"},
                "templateText": TEMPLATE,
            }
        )
        self.definition.write_text(json.dumps(definition.to_wire()))

    def digest(self) -> str:
        """SHA-256 of the definition as it is now, as the operator writes it into the pod."""
        known = self.definition.read_bytes() if self.definition.exists() else b""
        return hashlib.sha256(known).hexdigest()

    def define_as(self, manifest: Path, **parameters: Any) -> None:
        """Write the definition of a manifest's ReportSchedule."""
        body = yaml.safe_load(manifest.read_text())
        spec = body["spec"]
        report = spec["report"]
        report["parameters"] = report.get("parameters", {}) | parameters
        definition = Definition.model_validate(
            {
                "namespace": body["metadata"]["namespace"],
                "name": body["metadata"]["name"],
                "uid": "u1",
                "reportType": spec["reportType"],
                "timeZone": spec["timeZone"],
                "report": report,
                "output": {"retention": "3650d"},
            }
        )
        self.definition.write_text(json.dumps(definition.to_wire()))

    def output(self, suffix: str) -> Path:
        """The finished file of a format."""
        (path,) = self.volume.rglob(f"*.{suffix}")
        return path

    def start(
        self, user: int | None = None, command: str = "run", **environment: str
    ) -> subprocess.Popen[str]:
        """Start the container with an empty termination log; as `user`, in the group root."""
        self.volume.mkdir(exist_ok=True)
        self.termination_log.write_text("")
        return subprocess.Popen(
            [*_as(user), sys.executable, "-m", "report_runner.cli", command],
            env=os.environ
            | {
                pod.ENV_DEFINITION: str(self.definition),
                pod.ENV_DEFINITION_SHA256: self.digest(),
                "REPORT_SECRETS_DIR": str(self.secrets),
                "REPORT_OUTPUT_DIR": str(self.volume),
                "REPORT_TERMINATION_LOG": str(self.termination_log),
                pod.ENV_SLOT: "2026-01-05T06:00:00Z",
                pod.ENV_REPORT_DATE: "2026-01-05",
                pod.ENV_RUN_ID: RUN_ID,
                pod.ENV_ATTEMPT: "1",
            }
            | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, user: int | None = None, **environment: str) -> tuple[int, RunResult, str]:
        """Run to the end; exit code, result and log."""
        with self.start(user, **environment) as process:
            _, log = process.communicate(timeout=SECONDS)
        return process.returncode, self.result(), log

    def verify(self, **environment: str) -> tuple[int, VerificationResult, str]:
        """Look at what was sent; exit code, answer and log."""
        with self.start(command="verify", **environment) as process:
            _, log = process.communicate(timeout=SECONDS)
        text = self.termination_log.read_bytes()
        assert 0 < len(text) <= pod.TERMINATION_LOG_LIMIT
        return process.returncode, VerificationResult.model_validate_json(text), log

    def result(self) -> RunResult:
        """The result in the termination message."""
        text = self.termination_log.read_bytes()
        assert 0 < len(text) <= pod.TERMINATION_LOG_LIMIT
        return RunResult.model_validate_json(text)

    def manifest(self) -> Manifest:
        """The manifest beside the report."""
        (path,) = self.volume.rglob("*.manifest.json")
        return Manifest.model_validate_json(path.read_bytes())

    def files(self) -> list[str]:
        """All files on the volume except the lock."""
        found = (path for path in self.volume.rglob("*") if path.is_file())
        return sorted(path.name for path in found if path.suffix != ".lock")
