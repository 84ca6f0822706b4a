"""The API through `kubectl port-forward`, where Kubernetes checks the user's rights."""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from admin_cli.client import UnreachableError

CHART = "adaf-report-scheduler"
API_PORT = 3000
SECONDS = 20.0  # until kubectl is ready
_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")


@dataclass(frozen=True, slots=True)
class Installation:
    """Namespace, Helm release and kubectl context of the operator."""

    namespace: str
    release: str
    context: str | None

    @property
    def deployment(self) -> str:
        """The operator's, by the chart's naming rule; the admin API's has the suffix `-api`."""
        whole = self.release if CHART in self.release else f"{self.release}-{CHART}"
        return whole[:55].removesuffix("-")

    @property
    def command(self) -> list[str]:
        """kubectl port-forward from a free port of loopback."""
        context = ["--context", self.context] if self.context else []
        return [
            "kubectl", *context, "--namespace", self.namespace, "port-forward",
            "--address", "127.0.0.1", f"deployment/{self.deployment}-api", f":{API_PORT}",
        ]  # fmt: skip


@contextmanager
def port_forward(installation: Installation) -> Iterator[str]:
    """The API's URL while the block runs. Raises UnreachableError."""
    if shutil.which("kubectl") is None:
        raise UnreachableError("there is no kubectl here: install it, or use --url")
    process = subprocess.Popen(
        installation.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()
    # The output is read to its end, because a full pipe would stop kubectl.
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        yield f"http://localhost:{_port(lines, installation)}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


def _port(lines: queue.Queue[str | None], installation: Installation) -> int:
    """The local port that kubectl prints. Raises UnreachableError with its output otherwise."""
    output: list[str] = []
    try:
        while (line := lines.get(timeout=SECONDS)) is not None:
            if found := _READY.match(line):
                return int(found[1])
            output.append(line.strip())
    except queue.Empty:
        output.append(f"kubectl port-forward is not ready after {SECONDS:.0f} s")
    raise UnreachableError(
        f"{' '.join(output) or 'kubectl port-forward ended'}: check --context, --namespace "
        f"{installation.namespace} and --release {installation.release} "
        f"(kubectl get deploy -A -l app.kubernetes.io/name={CHART}-api), or use --url"
    )


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    with process.stdout or nullcontext(()) as stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
