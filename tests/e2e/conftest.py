"""The installed chart on a real node; all access is by kubectl, as for a user."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.waiting import UnexpectedError, wait_for
from tests.support.volumes import claim_directory

ROOT = Path(__file__).resolve().parents[2]
CLAIM = "adaf-reports"
SECONDS = 180.0


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=text, text=True, capture_output=True, check=False
    )
    if check and done.returncode:
        raise UnexpectedError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def operator_log() -> str:
    """The newest lines of each operator's pod, wherever it is installed."""
    selector = "app.kubernetes.io/name=adaf-report-scheduler"
    listed = kubectl(
        "get", "pods", "-A", "-l", selector, "-o",
        "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}",
    )  # fmt: skip
    return "\n".join(
        f"{pod}:\n{kubectl('-n', namespace, 'logs', pod, '--tail=20', check=False)}"
        for namespace, pod in (line.split() for line in listed.splitlines())
    )


@dataclass(frozen=True)
class Team:
    """A namespace with a report volume."""

    namespace: str

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return kubectl("-n", self.namespace, *arguments, text=text, check=check)

    def make_volume(self, storage_class: str = "standard", size: str = "100Mi") -> None:
        """The claim for finished reports."""
        self.kubectl("apply", "-f", "-", text=_claim(storage_class, size))

    def apply(self, name: str, **spec: Any) -> None:
        """Apply a ReportSchedule that never comes due by itself, with these changes of its spec."""
        self.apply_unobserved(name, **spec)
        self.wait_until_observed(name)

    def apply_unobserved(self, name: str, **spec: Any) -> None:
        """The same, without waiting for the operator."""
        manifest = {
            "apiVersion": "reports.adaf.io/v1alpha1",
            "kind": "ReportSchedule",
            "metadata": {"name": name},
            "spec": {
                "reportType": "executive_dashboard",
                "schedule": "0 0 1 1 *",
                "timeZone": "Europe/Madrid",
                "retry": {"limit": 0},
                "report": {
                    "title": "A test",
                    "sources": [{"name": "facts", "inline": {"rows": [{"a": 1, "b": "x"}]}}],
                    "template": {"builtin": "executive_dashboard"},
                    "formats": ["csv"],
                },
                **spec,
            },
        }
        self.apply_manifest(manifest)

    def apply_manifest(self, manifest: dict[str, Any]) -> None:
        # JSON: PyYAML writes the key "y" without quotes, which kubectl reads as true.
        self.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(manifest))

    def wait_until_observed(self, name: str) -> None:
        """Wait until the operator has reconciled the newest spec."""
        generation = self.get(name)["metadata"]["generation"]
        wait_for(
            f"{name} is reconciled",
            lambda: self.get(name).get("status", {}).get("observedGeneration") == generation,
            SECONDS,
            lambda: f"{self.status(name)}\n{operator_log()}",
        )

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kubectl("get", "reportschedule", name, "-o", "json")
        )
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        return next((c for c in self.status(name).get("conditions", ()) if c["type"] == kind), {})

    def start(self, name: str, job: str) -> None:
        """Start a run by hand, as on-call does."""
        cronjob = wait_for(
            f"the CronJob of {name}",
            lambda: self.status(name).get("cronJob"),
            SECONDS,
            describe=lambda: self.get(name).get("status"),
        )
        self.kubectl("create", "job", job, f"--from=cronjob/{cronjob}")

    def outcome(self, name: str, job: str, seconds: float = SECONDS) -> dict[str, Any]:
        def recorded() -> dict[str, Any] | None:
            runs = self.status(name).get("recentRuns", ())
            return next((run for run in runs if run["job"] == job), None)

        try:
            found: dict[str, Any] = wait_for(f"outcome of {job}", recorded, seconds)
        except UnexpectedError as error:
            pods = self.kubectl("get", "pods,jobs,events", check=False)
            raise UnexpectedError(f"{error}\n{self.status(name)}\n{pods}") from error
        return found

    def run(self, name: str, job: str = "run-1") -> dict[str, Any]:
        self.start(name, job)
        return self.outcome(name, job)

    def copy_secret(
        self, name: str, *, of: str = "reports", to: str | None = None, **changes: str
    ) -> None:
        """Copy a Secret of the demo, with changes."""
        found = json.loads(kubectl("-n", of, "get", "secret", name, "-o", "json"))
        keys = {key: base64.b64decode(value).decode() for key, value in found["data"].items()}
        self.secret(to or name, keys | changes)

    def secret(self, name: str, keys: dict[str, str]) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": keys,
        }
        self.apply_manifest(manifest)

    def volume(self) -> Path:
        """The report volume, on the node."""
        return claim_directory(self.namespace, CLAIM)

    def files(self) -> list[str]:
        """Paths on the report volume, read on the node."""
        root = self.volume()
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())

    def events(self, name: str) -> list[tuple[str, str]]:
        listed = json.loads(
            self.kubectl(
                "get", "events", "-o", "json",
                f"--field-selector=involvedObject.kind=ReportSchedule,involvedObject.name={name}",
            )
        )  # fmt: skip
        return [(item["reason"], item["message"]) for item in listed["items"]]


def _claim(storage_class: str, size: str) -> str:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": size}},
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM},
            "spec": spec,
        }
    )


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Fails where the cluster has no operator."""
    if "KUBECONFIG" not in os.environ:
        done = subprocess.run(
            ["python3", str(ROOT / "hack/localcluster"), "kubeconfig"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.environ["KUBECONFIG"] = done.stdout.strip()
    found = kubectl(
        "get", "deploy", "-A", "-lapp.kubernetes.io/name=adaf-report-scheduler", "-o", "name",
        check=False,
    )  # fmt: skip
    assert "deployment" in found, f"no operator in the cluster (make up): {found}"


@pytest.fixture
def make_team() -> Iterator[Callable[..., Team]]:
    made: list[str] = []

    def make(storage_class: str = "standard", size: str = "100Mi") -> Team:
        known = kubectl("get", "storageclasses", "-o", "name").split()
        # "none" is of a volume that a test makes itself.
        if storage_class != "none" and f"storageclass.storage.k8s.io/{storage_class}" not in known:
            pytest.skip(f"the cluster has no StorageClass {storage_class}")
        name = f"e2e-{uuid.uuid4().hex[:8]}"
        kubectl("create", "namespace", name)
        made.append(name)
        kubectl("label", "ns", name, "pod-security.kubernetes.io/enforce=restricted")
        team = Team(name)
        team.make_volume(storage_class, size)
        return team

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def team(make_team: Callable[..., Team]) -> Team:
    return make_team()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many failure causes were caused and seen on every surface."""
    seen = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call" and getattr(report, "passed", False)
        for name, value in report.user_properties
        if name == "failure cause"
    ]
    if seen:
        terminalreporter.section("failure causes")
        surfaces = "status, event, API, page and runbook"
        terminalreporter.write_line(f"{len(seen)} caused, each seen in {surfaces}:")
        terminalreporter.write_line(", ".join(seen))
