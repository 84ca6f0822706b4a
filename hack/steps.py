"""Steps of `make up` and its like: programs that are run, with lines that say what goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.diagnostics import describe_pods
from hack.localcluster.progress import repeating

ROOT = Path(__file__).resolve().parents[1]
RELEASE = "report-scheduler"
_START = time.monotonic()


def log(text: str) -> None:
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", flush=True)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what goes on, again and again while it lasts."""
    log(what)
    with repeating(lambda: log(f"... {what}")):
        yield


def run(*command: str, text: str | None = None, quiet: bool = True) -> str:
    """Standard output; exits with the program's output where it fails."""
    done = subprocess.run(
        command,
        input=text,
        text=True,
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr or ''}")
    return done.stdout


def built_image(short: str) -> tuple[str, str]:
    """Build an image, by its short name; its name, and what `localcluster load` takes for it."""
    name, archive = run(sys.executable, "-m", "hack.image", "build", short, quiet=False).split()
    return name, name if archive == "-" else archive  # a Docker engine has it itself


def kubectl(*arguments: str, text: str | None = None) -> str:
    return run("kubectl", *arguments, text=text)


def apply(*objects: dict[str, Any]) -> None:
    listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(listing))


def wait_for(what: str, probe: Callable[[], Any], seconds: float) -> Any:
    """The first true result of `probe`, polled; exits after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
    return found


def rolled_out(namespace: str, *workloads: str) -> None:
    """Wait until each workload is ready; exits with diagnostics where one is not."""
    for workload in workloads:
        done = subprocess.run(
            ["kubectl", "-n", namespace, "rollout", "status", workload, "--timeout=300s"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(
                f"{workload} is not ready: {done.stderr.strip()}\n\n{describe_pods(namespace)}"
            )


def use_cluster() -> None:
    """Set KUBECONFIG and PATH as `hack/localcluster env` prints them."""
    for line in run(sys.executable, str(ROOT / "hack" / "localcluster"), "env").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = os.path.expandvars(value.strip("\"'"))
