"""The chart on a real node: installed, upgraded, rolled back, uninstalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.diagnostics import describe_pods
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team, kubectl

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "adaf-report-scheduler"
ARCHIVES = ROOT / "tests" / "data" / "charts"
(BEFORE,) = ARCHIVES.glob("*.tgz")
(SOURCE_BEFORE,) = ARCHIVES.glob("*-source.tar.xz")
RELEASE = "report-scheduler"
NAME = f"{RELEASE}-{CHART.name}"
TEAM = "reports"
SECONDS = 300.0  # for what takes some on a machine of its own


def program(*command: str, checkout: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def helm(*arguments: str) -> str:
    return program("helm", "--namespace", RELEASE, *arguments)


@dataclass(frozen=True)
class Images:
    """Names that the node has; `before` is the operator and the runner of BEFORE."""

    now: str
    before: str
    services: str

    def values(self, runner: str) -> list[str]:
        # A machine that does other work as well gives a pod hardly more than it has asked for.
        found = ["--set", "resources.requests.cpu=300m"]
        found += ["--set", "adminApi.resources.requests.cpu=300m"]
        for key, image in (
            ("image", runner), ("postgres.image", self.services), ("redis.image", self.services)
        ):  # fmt: skip
            repository, _, tag = image.rpartition(":")
            found += ["--set", f"{key}.repository={repository}", "--set", f"{key}.tag={tag}"]
        return found


def load_images() -> Images:
    """Build the images, that of the release before from its own source, and load them."""
    now, archive = build_image("runner")
    services, other = build_image("services")
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(SOURCE_BEFORE) as source:
            source.extractall(directory, filter="data")
        (checkout,) = Path(directory).iterdir()
        before, older = build_image("runner", checkout)
    program(sys.executable, "hack/localcluster", "load", archive, other, older)
    return Images(now, before, services)


def build_image(short: str, checkout: Path = ROOT) -> tuple[str, str]:
    """Name and archive."""
    built = program(sys.executable, "-m", "hack.image", "build", short, checkout=checkout)
    name, archive = built.split()
    return name, archive


def namespaces() -> None:
    for name in (RELEASE, TEAM):
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        kubectl("apply", "--server-side", "-f", "-", text=json.dumps(body))


def use_cluster() -> None:
    """Set KUBECONFIG and PATH as `hack/localcluster env` prints them."""
    for line in program(sys.executable, "hack/localcluster", "env").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = os.path.expandvars(value.strip("\"'"))


def rolled_out(*workloads: str) -> None:
    for workload in workloads or (
        "statefulset/postgres", f"deployment/{NAME}", f"deployment/{NAME}-api"
    ):  # fmt: skip
        command = ["kubectl", "-n", RELEASE, "rollout", "status", workload, "--timeout=400s"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{describe_pods(RELEASE)}"


def history(query: str) -> list[list[str]]:
    """Rows of a query to the release's own database, by its pod's shell."""
    text = kubectl(
        "-n", RELEASE, "exec", "postgres-0", "--",
        "psql", "adaf_prod", "--csv", "--tuples-only", "-c", query,
    )  # fmt: skip
    return [line.split(",") for line in text.splitlines() if line]


def attempts(schedule: str) -> Counter[str]:
    """How many runs of each slot are recorded."""
    rows = history(
        "SELECT to_char(slot, 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM report_scheduler.runs "
        f"WHERE schedule = '{schedule}'"
    )
    return Counter(slot for (slot,) in rows)


def items(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kubectl("-n", TEAM, "get", kind, "-o", "json"))[
        "items"
    ]
    return found


def finalizers() -> list[str]:
    """Of what the operator makes or watches: nothing of it waits for the operator to go."""
    kinds = "reportschedules,reportbackfills,cronjobs,configmaps"
    return [
        f"{body['kind']}/{body['metadata']['name']}"
        for body in items(kinds)
        if body["metadata"].get("finalizers")
    ]


def backfill_status(name: str) -> dict[str, Any]:
    body = json.loads(kubectl("-n", TEAM, "get", "reportbackfill", name, "-o", "json"))
    found: dict[str, Any] = body.get("status", {})
    return found


def wait_for_progress(name: str, further: int) -> dict[str, Any]:
    """The backfill's status once so many more of its runs have ended."""
    enough = backfill_status(name).get("done", 0) + further

    def told() -> object:
        return backfill_status(name), kubectl("-n", TEAM, "get", "jobs,pods", check=False)

    wait_for(
        f"{enough} runs of {name} are done",
        lambda: backfill_status(name).get("done", 0) >= enough,
        SECONDS,
        told,
    )
    return backfill_status(name)


def team() -> Team:
    return Team(TEAM)
