"""Clusters of other makers: the user's own, and kind where a Docker engine answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hack.localcluster.clients import clients, kind_program
from hack.localcluster.cluster import HACK, Cluster, ClusterError
from hack.localcluster.docker import docker_answers, megabytes
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.versions import KIND_IMAGE

_KIND_CONFIG = HACK / "kind.yaml"
_OWN_TAG = re.compile(r":dev-[0-9a-f]{12}$")


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


def user_kind(cluster: Cluster, log: Progress) -> str | None:
    """Name of the user's cluster in kind, where it is one of the engine that answers here."""
    if not docker_answers():
        return None
    kubectl = str(clients(cluster, log) / "kubectl")
    where = "--output=jsonpath={.items[*].spec.providerID}"
    ids = _output(
        [kubectl, f"--kubeconfig={cluster.kubeconfig}", "get", "nodes", where], "kubectl failed"
    )
    names = {node.split("/")[3] for node in ids.split() if node.startswith("kind://")}
    here = _output([str(kind_program(cluster, log)), "get", "clusters"], "kind failed").split()
    return next((name for name in names if name in here), None)


def kind_up(cluster: Cluster, log: Progress) -> None:
    """Create the kind cluster unless one answers. KIND_NODE_IMAGE is another image of its node."""
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
    image = os.environ.get("KIND_NODE_IMAGE") or KIND_IMAGE
    create = [kind, "create", "cluster", f"--name={cluster.context}", f"--config={_KIND_CONFIG}"]
    create += [f"--image={image}"]
    command = [*create, f"--kubeconfig={cluster.kubeconfig}", "--wait=180s"]
    log(f"kind makes a cluster of {image.partition('@')[0]}")
    run_logged(command, cluster.logs("kind"), log, "kind")
    rename = ["config", "rename-context", f"kind-{cluster.context}", cluster.context]
    _output([*own, *rename], "kubectl failed")


def kind_down(cluster: Cluster, log: Progress) -> None:
    """Delete the kind cluster and its files, if there is one."""
    if docker_answers():
        kind = str(kind_program(cluster, log))
        _output([kind, "delete", "cluster", f"--name={cluster.context}"], "kind failed")
    else:
        log("no Docker engine answers: whatever it had of the cluster stays there")
    shutil.rmtree(cluster.state, ignore_errors=True)


def kind_load(cluster: Cluster, name: str, images: Sequence[str], log: Progress) -> None:
    """Import images of the engine, or archives, into all nodes of a kind cluster.

    Raises ClusterError where kind cannot.
    """
    kind = str(kind_program(cluster, log))
    archives = [image for image in images if Path(image).is_file()]
    there = _loaded(kind, name)
    named = [image for image in images if image not in {*archives, *there}]
    log_file = cluster.logs("kind-load")
    if named:
        what = f"loading {len(named)} images ({megabytes(named)} MB) into kind"
        log(what)
        run_logged([kind, "load", "docker-image", *named, f"--name={name}"], log_file, log, what)
    for archive in archives:
        what = f"loading {Path(archive).name} into kind"
        log(what)
        run_logged([kind, "load", "image-archive", archive, f"--name={name}"], log_file, log, what)


def _loaded(kind: str, name: str) -> set[str]:
    """Images of ours that every node has. kind itself compares ids, which engines make differently.

    The tag of such an image changes with what is in it, so the name is enough.
    """
    nodes = _output([kind, "get", "nodes", f"--name={name}"], "kind failed").split()
    listing = ("ctr", "--namespace=k8s.io", "images", "list", "--quiet")
    listed = [
        subprocess.run(
            ["docker", "exec", node, *listing], capture_output=True, text=True, check=False
        ).stdout.split()
        for node in nodes
    ]
    common = set.intersection(*map(set, listed)) if listed else set()
    return {image for image in common if _OWN_TAG.search(image)}


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
