"""A control plane without a node: real etcd, API server and controllers, on loopback.

Tests may stop any part of it. Pods never run: a test that needs one to end writes its status.

"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import yaml

from hack.localcluster.cluster import this_cluster
from hack.localcluster.progress import Progress
from hack.localcluster.tools import node_programs
from hack.testbed.apiserver import ApiServer
from hack.testbed.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
ETCD, API_SERVER, CONTROLLERS = "etcd", "kube-apiserver", "kube-controller-manager"
ENABLED = (
    "cronjob-controller",
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class ControlPlane:
    """One per test process; `stop` ends it."""

    directory: Path
    # Zones as the operator has them, whatever the machine's are: Go looks there first.
    zone_data: str = str(files("tzdata") / "zoneinfo")
    program: Path = field(init=False)
    api: ApiServer = field(init=False)
    _commands: dict[str, list[str]] = field(init=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        self.program = node_programs(this_cluster(os.environ), Progress()).node
        pki = self.directory / "pki"
        subprocess.run(
            [
                self.program, "pki", f"--dir={pki}", "--node=none", "--node-ip=127.0.0.1",
                "--hosts=127.0.0.1,localhost",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        self._port, etcd, peer = free_port(), free_port(), free_port()
        self.kubeconfig.write_text(json.dumps(self._kubeconfig(pki)))
        self._commands = {
            ETCD: [
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{etcd}",
                f"--advertise-client-urls=http://127.0.0.1:{etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--log-level=error",
                "--unsafe-no-fsync",
            ],
            API_SERVER: [
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--secure-port={self._port}",
                "--service-cluster-ip-range=10.97.0.0/24",
                f"--etcd-servers=http://127.0.0.1:{etcd}",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",  # as every node of a real cluster needs it
                f"--client-ca-file={pki / 'ca.crt'}",
                f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
                f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
                f"--cert-dir={pki}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={pki / 'service-account.key'}",
                "--allow-privileged=true",
                f"--service-account-signing-key-file={pki / 'service-account.key'}",
            ],
            CONTROLLERS: [
                f"--kubeconfig={self.kubeconfig}",
                "--leader-elect=false",
                f"--controllers={','.join(ENABLED)}",
                "--secure-port=0",
            ],
        }
        for name in (ETCD, API_SERVER):
            self.launch(name)
        self.wait_until_ready()
        self.launch(CONTROLLERS)
        self.api = ApiServer(self.kubeconfig)
        for path in CRDS:
            self.api.serve(yaml.safe_load(path.read_text()))

    def launch(self, name: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [self.program, name, *self._commands[name]], stdout=log, stderr=log,
                env={**os.environ, "ZONEINFO": self.zone_data},
            )  # fmt: skip

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        """SIGSTOP: the component is there and does nothing."""
        self._running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            process = self._running[API_SERVER]
            assert process.poll() is None, self.log(API_SERVER)
            try:
                return ApiServer(self.kubeconfig).call("GET", "/readyz?verbose=").code == 200
            except json.JSONDecodeError:  # "readyz check passed" is no JSON
                return True
            except OSError:
                return False

        wait_for("the API server", ready, 90, lambda: self.log(API_SERVER))

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()[-3000:]

    def stop(self) -> None:
        for name in (CONTROLLERS, API_SERVER, ETCD):
            if name in self._running:
                self.kill(name)

    def _kubeconfig(self, pki: Path) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self._port}",
                        "certificate-authority": str(pki / "ca.crt"),
                    },
                }
            ],
            "users": [
                {
                    "name": "tests",
                    "user": {
                        "client-certificate": str(pki / "admin.crt"),
                        "client-key": str(pki / "admin.key"),
                    },
                }
            ],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        }


@contextmanager
def control_plane(directory: Path) -> Iterator[ControlPlane]:
    """A running one, whose state is in the directory; it is ended with the block."""
    made = ControlPlane(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
