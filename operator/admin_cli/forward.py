"""A way to the API through `kubectl port-forward`: Kubernetes checks who may."""

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
SECONDS = 20.0  # until it forwards
_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the operator is installed."""

    namespace: str
    release: str
    context: str | None

    @property
    def deployment(self) -> str:
        """The operator's, as the chart names it; the admin API's has `-api` after it."""
        whole = self.release if CHART in self.release else f"{self.release}-{CHART}"
        return whole[:55].removesuffix("-")

    @property
    def command(self) -> list[str]:
        """Forwards a free port of loopback."""
        context = ["--context", self.context] if self.context else []
        return [
            "kubectl", *context, "--namespace", self.namespace, "port-forward",
            "--address", "127.0.0.1", f"deployment/{self.deployment}-api", f":{API_PORT}",
        ]  # fmt: skip


@contextmanager
def forwarded(place: Place) -> Iterator[str]:
    """The API's URL while the block runs. Raises UnreachableError."""
    if shutil.which("kubectl") is None:
        raise UnreachableError("there is no kubectl here: install it, or say --url")
    process = subprocess.Popen(
        place.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()
    # It reads to the end: a full pipe would stop kubectl.
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        yield f"http://localhost:{_port(lines, place)}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


def _port(lines: queue.Queue[str | None], place: Place) -> int:
    """As kubectl says it. What else it says until then is why it cannot."""
    said: list[str] = []
    try:
        while (line := lines.get(timeout=SECONDS)) is not None:
            if found := _READY.match(line):
                return int(found[1])
            said.append(line.strip())
    except queue.Empty:
        said.append(f"kubectl port-forward is not ready after {SECONDS:.0f} s")
    raise UnreachableError(
        f"{' '.join(said) or 'kubectl port-forward ended'}: check --context, --namespace "
        f"{place.namespace} and --release {place.release} "
        f"(kubectl get deploy -A -l app.kubernetes.io/name={CHART}-api), or say --url"
    )


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    with process.stdout or nullcontext(()) as stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
