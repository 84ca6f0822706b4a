"""Clusters of other makers: the user's own, and kind where a Docker engine answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hack.localcluster.cluster import HACK, Cluster, ClusterError
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.tools import clients, kind_program
from hack.localcluster.versions import KIND_IMAGE

_KIND_CONFIG = HACK / "kind.yaml"


def docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def user_up(cluster: Cluster, context: str, log: Progress) -> None:
    """Check that the context answers, and copy it into the cluster's own kubeconfig.

    Raises ClusterError where it does not exist or does not answer.
    """
    kubectl = str(clients(cluster, log) / "kubectl")
    view = [kubectl, "config", "view", "--minify", "--flatten", "--raw", f"--context={context}"]
    config = _output(view, f"KUBECONTEXT={context}: no such context in your kubeconfig")
    _write_private(cluster.kubeconfig, config)
    # The copy's current context is the named one, whatever it is in the user's own file.
    own = [kubectl, f"--kubeconfig={cluster.kubeconfig}"]
    _output([*own, "config", "use-context", context], "kubectl failed")
    _output(
        [*own, "--request-timeout=20s", "get", "--raw=/readyz"],
        f"KUBECONTEXT={context}: the cluster does not answer",
    )
    cluster.backend.write_text("user")
    log(f"using your cluster {context}")


def kind_up(cluster: Cluster, log: Progress) -> None:
    """Create the kind cluster unless one answers."""
    kind = str(kind_program(cluster, log))
    kubectl = str(clients(cluster, log) / "kubectl")
    own = [kubectl, f"--kubeconfig={cluster.kubeconfig}", "--request-timeout=10s"]
    if cluster.context in _output([kind, "get", "clusters"], "kind failed").split():
        done = subprocess.run([*own, "get", "--raw=/readyz"], capture_output=True, check=False)
        if done.returncode == 0:
            log(f"the kind cluster {cluster.context} is up already")
            return
        log("the kind cluster does not answer: beginning anew")
        kind_down(cluster, log)
    cluster.state.mkdir(parents=True, exist_ok=True)
    cluster.backend.write_text("kind")
    create = [kind, "create", "cluster", f"--name={cluster.context}", f"--config={_KIND_CONFIG}"]
    create += [f"--image={KIND_IMAGE}"]
    command = [*create, f"--kubeconfig={cluster.kubeconfig}", "--wait=180s"]
    log("kind makes a cluster")
    run_logged(command, cluster.logs("kind"), log, "kind")
    rename = ["config", "rename-context", f"kind-{cluster.context}", cluster.context]
    _output([*own, *rename], "kubectl failed")


def kind_down(cluster: Cluster, log: Progress) -> None:
    """Delete the kind cluster, if there is one."""
    kind = str(kind_program(cluster, log))
    _output([kind, "delete", "cluster", f"--name={cluster.context}"], "kind failed")


def kind_load(cluster: Cluster, archive: Path, log: Progress) -> None:
    """Import an image archive into the kind node."""
    kind = str(kind_program(cluster, log))
    _output(
        [kind, "load", "image-archive", str(archive), f"--name={cluster.context}"],
        f"{archive}: not loaded",
    )


def _output(command: Sequence[str], problem: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{problem}: {done.stderr.strip()}")
    return done.stdout


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
