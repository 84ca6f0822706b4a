"""`make test-docker`: what somebody with Docker and Python does, and the tests over it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hack.engine.daemon import Engine
from hack.localcluster.cluster import ROOT, this_cluster
from hack.localcluster.progress import Progress

# All that a machine with Docker and Python has of what this project uses.
_TOOLS = """awk bash cat chmod cksum cp cut date dirname docker env expand find git grep head id ln
    ls make mkdir mktemp mv nproc readlink rm sed sh sleep sort tail tr true uname wc xargs"""
_SUMMARY = re.compile(r"^=+ (.*\b(?:passed|failed|error).*) =+$|^(\d+ (?:passed|failed).* in .*)$")


@dataclass(slots=True)
class _Step:
    what: str
    seconds: float
    result: str


@dataclass(slots=True)
class _Journey:
    engine: Engine
    environment: dict[str, str]
    log: Progress
    steps: list[_Step] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(step.result.startswith("FAILED") for step in self.steps)

    def do(
        self, what: str, command: Sequence[str], changes: Mapping[str, str] | None = None
    ) -> bool:
        """Run a step, shown as it goes; whether it succeeded."""
        self.log(f"==> {what}")
        begun = time.monotonic()
        process = subprocess.Popen(
            self.engine.command(*command),
            env={**self.environment, **(changes or {})},
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            if found := _SUMMARY.match(line.strip()):
                told = found[1] or found[2]
        well = process.wait() == 0
        result = told or "done"
        self.steps.append(
            _Step(what, time.monotonic() - begun, result if well else f"FAILED: {result}")
        )
        return well

    def figures(self) -> str:
        width = max(len(step.what) for step in self.steps)
        lines = [f"{s.what:<{width}}  {s.seconds:7.1f} s  {s.result}" for s in self.steps]
        shown = self.engine.docker("images", "--format", "{{.Repository}} {{.Size}}")
        sizes = sorted({line for line in shown.splitlines() if "adaf" in line})
        return "\n".join(["", "make test-docker:", *lines, "", "images:", *sizes])


def run(used: Engine, environment: dict[str, str], log: Progress) -> int:
    """Exit code 1 where a step failed. Whatever happens, the clusters are removed."""
    name = this_cluster(os.environ).name[:22]
    first, second = f"{name}-docker", f"{name}-other"
    journey = _Journey(used, {**environment, "ADAF_CLUSTER": first}, log)
    cluster = this_cluster(journey.environment)
    out = ROOT / "out"
    shutil.rmtree(out, ignore_errors=True)
    # A kubeconfig of the user's own, as `kind create cluster` would have left it.
    user = {"KUBECONTEXT": cluster.context, "ADAF_CLUSTER": second}
    try:
        with _plain_machine() as path:
            begun = journey.do("make up, with Docker and Python alone", _make("up"), {"PATH": path})
            journey.do("make up once more", _make("up"), {"PATH": path})
            journey.do("make mail", _make("mail"), {"PATH": path})
            if begun:
                _check_pdf(journey, out)
                _tests(journey, str(cluster.kubeconfig))
                user["KUBECONFIG"] = str(cluster.kubeconfig)
                journey.do("make up KUBECONTEXT=...", _make("up"), {**user, "PATH": path})
            journey.do("make down, of KUBECONTEXT", _make("down"), {**user, "PATH": path})
            journey.do("make down", _make("down"), {"PATH": path})
    finally:
        print(journey.figures(), flush=True)
    return int(journey.failed)


def _make(target: str) -> list[str]:
    return ["make", target, "VENV=.none"]  # not this checkout's own Python


def _tests(journey: _Journey, kubeconfig: str) -> None:
    python = str(ROOT / ".venv" / "bin")
    clients = subprocess.run(
        [sys.executable, str(ROOT / "hack" / "localcluster"), "exec-path"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    path = os.pathsep.join([python, clients.stdout.strip(), os.environ["PATH"]])
    changes = {"PATH": path, "KUBECONFIG": kubeconfig}
    journey.do("make examples, on that cluster", ["python", "hack/examples.py"], changes)
    pytest = ["pytest", "-q", "-p", "no:cacheprovider"]
    for folder in ("tests/e2e", "tests/runbook"):
        workers = ["-n", "2", "--dist", "worksteal"] if folder == "tests/e2e" else []
        journey.do(folder, [*pytest, *workers, folder], changes)


def _check_pdf(journey: _Journey, out: Path) -> None:
    found = [pdf for pdf in out.glob("*.pdf") if pdf.read_bytes().startswith(b"%PDF-")]
    result = ", ".join(f"{pdf.name} {pdf.stat().st_size} bytes" for pdf in found)
    journey.steps.append(_Step("PDFs in out/", 0.0, result or "FAILED: none"))


@contextmanager
def _plain_machine() -> Iterator[str]:
    """A PATH without Go, kubectl, helm, kind, pip, openssl, apt and this project's environment."""
    with tempfile.TemporaryDirectory(prefix="adaf-plain-") as directory:
        for tool in _TOOLS.split():
            if found := shutil.which(tool):
                Path(directory, tool).symlink_to(found)
        Path(directory, "python3").symlink_to(Path(sys.base_prefix, "bin", "python3"))
        yield directory
