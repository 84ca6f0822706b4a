"""`make forward`: the admin API, Redis and Postgres of the cluster on this machine's loopback.

A forward is restarted when its pod is replaced or its connection breaks. Ctrl-C ends all of them.

"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from hack.steps import RELEASE, use_cluster

PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Target:
    """A port, which is the same on both ends, and the labels of the pods that listen on it."""

    what: str
    port: int
    selector: str


TARGETS = (
    Target("admin API", 3000, "app.kubernetes.io/name=adaf-report-scheduler-api"),
    Target("Redis", 6379, "app.kubernetes.io/name=redis"),
    Target("Postgres", 5432, "app.kubernetes.io/name=postgres"),
)
EXPORTS = f"""
For another shell; no password shows up in it:

  eval "$(make -s env)"
  export PGPASSWORD="$(kubectl -n {RELEASE} get secret postgres -o jsonpath='{{.data.password}}' | base64 -d)"
  export REDISCLI_AUTH="$(kubectl -n {RELEASE} get secret redis -o jsonpath='{{.data.password}}' | base64 -d)"
"""  # noqa: E501


def ready_pod(listed: dict[str, Any]) -> str:
    """Name of the newest pod that is ready and not being deleted; empty without one."""
    found = [
        (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])
        for pod in listed["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", ())
        )
    ]
    return max(found)[1] if found else ""


class Forward:
    """One target's port-forward, restarted whenever it ends."""

    def __init__(self, target: Target, address: str, ended: threading.Event) -> None:
        self._target = target
        self._address = address
        self._ended = ended
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[str]] = []

    def run(self) -> None:
        """Blocks until `ended` is set and `end` was called."""
        printed = ""
        while not self._ended.is_set():
            pod = self._pod()
            news = f"{self._target.what}: {pod or 'no pod is ready, waiting'}"
            if news != printed:
                where = f"{self._address}:{self._target.port} -> " if pod else ""
                print(f"{where}{news}", flush=True)
                printed = news
            if pod:
                self._forward(pod)
                printed = ""
            self._ended.wait(PAUSE_SECONDS)

    def end(self) -> None:
        with self._lock:
            for process in self._running:
                process.terminate()

    def _pod(self) -> str:
        command = ["kubectl", "-n", RELEASE, "get", "pods", "-l", self._target.selector]
        done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)
        return "" if done.returncode else ready_pod(json.loads(done.stdout))

    def _forward(self, pod: str) -> None:
        """Forward until the pod is deleted; port-forward itself notices only at a connection."""
        kubectl = ["kubectl", "-n", RELEASE]
        port = str(self._target.port)
        commands = (
            [*kubectl, "port-forward", f"--address={self._address}", f"pod/{pod}", port],
            [*kubectl, "wait", "--for=delete", f"pod/{pod}", "--timeout=-1s"],
        )
        one_ended = threading.Event()
        with self._lock:
            if self._ended.is_set():
                return
            self._running = [
                subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                for command in commands
            ]
        watchers = [
            threading.Thread(target=_log_stderr, args=(process, one_ended))
            for process in self._running
        ]
        for watcher in watchers:
            watcher.start()
        one_ended.wait()
        self.end()
        for watcher in watchers:
            watcher.join()


def _log_stderr(process: subprocess.Popen[str], ended: threading.Event) -> None:
    """Print the process's standard error line by line, and set `ended` when it has exited."""
    assert process.stderr is not None
    for line in process.stderr:
        print(line.rstrip(), file=sys.stderr, flush=True)
    process.wait()
    ended.set()


def taken(address: str) -> list[str]:
    """Targets whose port is already taken on this address, with the reason."""
    found = []
    for target in TARGETS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, target.port))
            except OSError as error:
                found.append(f"{address}:{target.port} ({target.what}): {error.strerror}")
    return found


def main() -> int:
    """Exit code 1 where a port is taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="another loopback address, where ports are taken; the admin API wants localhost",
    )
    address = parser.parse_args().address
    if wrong := taken(address):
        print(
            "not free, end what listens there or choose another --address:",
            *wrong, sep="\n  ", file=sys.stderr,
        )  # fmt: skip
        return 1
    use_cluster()
    print(EXPORTS)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    forwards = [Forward(target, address, ended) for target in TARGETS]
    threads = [threading.Thread(target=forward.run) for forward in forwards]
    for thread in threads:
        thread.start()
    ended.wait()
    for forward in forwards:
        forward.end()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
