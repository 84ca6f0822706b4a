"""Kueue, built from its Go module, beside a control plane of the tests."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hack.image.programs import go_program, module_directory
from hack.testbed.apiserver import CRDS
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.waiting import wait_for

SOURCE = Path(__file__).resolve().parents[1] / "kueue"
MODULE = "sigs.k8s.io/kueue"
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
# Certificates that it does not manage itself it reads there, and nowhere else.
IN_ITS_OWN_ETC = """\
mount -t tmpfs tmpfs /etc
mkdir -p /etc/kueue/metrics/certs
cp "$1/tls.crt" "$1/tls.key" /etc/kueue/metrics/certs/
shift
exec "$@"
"""
Body = dict[str, Any]


def kueue_program() -> Path:
    """The manager, from the cache or built (minutes on two idle cores)."""
    return go_program(SOURCE, f"{MODULE}/cmd/kueue")


@contextmanager
def kueue(plane: ControlPlane, directory: Path) -> Iterator[None]:
    """Kueue's CRDs, its webhooks for Jobs and its own kinds, and its manager, in the block."""
    program, files = kueue_program(), module_directory(SOURCE, MODULE) / "config" / "components"
    for path in sorted((files / "crd" / "bases").glob("*.yaml")):
        body = yaml.safe_load(path.read_text())
        apply = f"{CRDS}/{body['metadata']['name']}?fieldManager=tests&force=true"
        answer = plane.api.call("PATCH", apply, body, "application/apply-patch+yaml")
        assert answer.code < 300, answer.message
    wait_for("Kueue's kinds are served", lambda: _serves(plane, "workloads"), 60)
    port, health = free_port(), free_port()
    _certificates(plane, directory)
    config, log = directory / "kueue.yaml", directory / "kueue.log"
    config.write_text(yaml.safe_dump(_configuration(port, health, directory)))
    command = ["unshare", "--mount", "sh", "-euc", IN_ITS_OWN_ETC, "sh", directory, program]
    command += [f"--config={config}", f"--kubeconfig={plane.kubeconfig}"]
    command.append("--feature-gates=VisibilityOnDemand=false")
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "POD_NAMESPACE": "default"}
        ) as manager,
    ):
        made = []
        try:
            wait_for(
                "Kueue is ready",
                lambda: _answers(health) or manager.poll() is not None,
                120,
                log.read_text,
            )
            assert manager.poll() is None, log.read_text()
            made = _webhooks(plane, files, port, directory)
            yield
        finally:
            for path in made:
                plane.api.call("DELETE", path)
            manager.terminate()
            manager.wait(30)


def _configuration(port: int, health: int, directory: Path) -> Body:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": port, "certDir": str(directory)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "integrations": {"frameworks": ["batch/job"]},
    }


def _certificates(plane: ControlPlane, directory: Path) -> None:
    """Those of the API server: they are for the same address."""
    pki = plane.directory / "pki"
    shutil.copy(pki / "kube-apiserver.crt", directory / "tls.crt")
    shutil.copy(pki / "kube-apiserver.key", directory / "tls.key")


def _serves(plane: ControlPlane, plural: str) -> bool:
    found = plane.api.call("GET", KUEUE)
    return found.code == 200 and any(item["name"] == plural for item in found.body["resources"])


def _answers(port: int) -> bool:
    done = subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{port}/readyz"], capture_output=True, check=False
    )
    return done.returncode == 0


def _webhooks(plane: ControlPlane, files: Path, port: int, directory: Path) -> list[str]:
    """Those for Jobs and Kueue's own kinds, at the manager's address; returns their paths."""
    authority = base64.b64encode((plane.directory / "pki" / "ca.crt").read_bytes()).decode()
    made = []
    for body in yaml.safe_load_all((files / "webhook" / "manifests.yaml").read_text()):
        body["webhooks"] = [
            {
                **hook,
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}{hook['clientConfig']['service']['path']}",
                    "caBundle": authority,
                },
            }
            for hook in body["webhooks"]
            if "batch-v1-job" in hook["clientConfig"]["service"]["path"]
            or "kueue-x-k8s-io" in hook["clientConfig"]["service"]["path"]
        ]
        body["metadata"]["name"] = f"kueue-{directory.name}-{body['metadata']['name']}"
        plural = f"{body['kind'][0].lower()}{body['kind'][1:]}s".lower()
        answer = plane.api.call("POST", f"{ADMISSION}/{plural}", body)
        assert answer.code == 201, answer.message
        made.append(f"{ADMISSION}/{plural}/{body['metadata']['name']}")
    return made
