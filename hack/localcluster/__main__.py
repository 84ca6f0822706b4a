"""`python3 hack/localcluster COMMAND`: a local Kubernetes cluster for this checkout.

KUBECONTEXT=<context> uses a cluster of your own, a Docker engine that answers means kind, and
otherwise a real single node is started on this machine. ADAF_CLUSTER=<name> means another cluster
than the checkout's own.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if not __package__:  # started as a directory: modules are found from the checkout's root
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from hack.localcluster import backends, cleanup, images, node
from hack.localcluster.clients import clients
from hack.localcluster.cluster import Cluster, ClusterError, this_cluster
from hack.localcluster.docker import docker_answers
from hack.localcluster.progress import Progress, repeating, run_logged


@contextmanager
def _locked(cluster: Cluster, log: Progress) -> Iterator[None]:
    cluster.lock.parent.mkdir(parents=True, exist_ok=True)
    with cluster.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"another command works on the cluster {cluster.name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _backend(cluster: Cluster) -> str:
    return cluster.backend.read_text() if cluster.backend.exists() else ""


def _up(cluster: Cluster, log: Progress) -> None:
    context = os.environ.get("KUBECONTEXT")
    present = _backend(cluster)
    wanted = "user" if context else present or ("kind" if docker_answers() else "node")
    if present and present != wanted:
        raise ClusterError(
            f"the cluster {cluster.name} is there already, made another way ({present}): `down` "
            "first, or unset KUBECONTEXT"
        )
    if context:
        backends.user_up(cluster, context, log)
    elif wanted == "kind":
        backends.kind_up(cluster, log)
    else:
        node.up(cluster, log)
    print(cluster.kubeconfig)


def _down(cluster: Cluster, log: Progress, *, purge: bool) -> None:
    backend = _backend(cluster)
    if backend == "kind":
        backends.kind_down(cluster, log)
    elif backend == "user":
        shutil.rmtree(cluster.state)
    else:
        if cluster.state.exists():
            node.require_root()
        if not os.geteuid():
            cleanup.node(cluster)
    if purge:
        for kept in ("node", "clients", "kind", "kind-node", "engine"):
            shutil.rmtree(cluster.base / kept, ignore_errors=True)
    log(f"nothing is left of the cluster {cluster.name}")


def _load(cluster: Cluster, wanted: list[str], log: Progress) -> None:
    backend = _backend(cluster)
    if backend in ("user", "kind"):
        kind = cluster.context if backend == "kind" else backends.user_kind(cluster, log)
        if kind is None:
            raise ClusterError(
                "images are loaded into a node of this machine alone, also of a kind cluster of "
                "yours: push them to your cluster's registry"
            )
        backends.kind_load(cluster, kind, wanted, log)
        return
    node.running(cluster)
    snapshotter = cluster.config("snapshotter").read_text()
    with tempfile.TemporaryDirectory() as scratch:
        for image in wanted:
            archive = Path(image)
            if not archive.is_file():
                archive = Path(scratch, "image.tar")
                save = ["docker", "save", f"--output={archive}", image]
                run_logged(save, cluster.logs("load"), log, f"saving {image}")
            what = f"loading {Path(image).name} ({archive.stat().st_size // 1_000_000} MB)"
            log(what)
            with repeating(functools.partial(log, f"... {what}")):
                loaded = images.load(cluster, archive.resolve(), snapshotter)
            print("\n".join(loaded))


def _status(cluster: Cluster) -> int:
    if (backend := _backend(cluster)) in ("kind", "user"):
        print(f"{cluster.name}: {backend}, kubeconfig {cluster.kubeconfig}")
        return 0
    lines, well = node.status(cluster)
    print("\n".join(lines))
    return 0 if well else 1


def _environment(cluster: Cluster, log: Progress) -> None:
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    print(f"export PATH={shlex.quote(str(clients(cluster, log)))}:$PATH")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/localcluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start it, heal it, or leave it as it is; prints its kubeconfig")
    down = commands.add_parser("down", help="remove it with all its data")
    down.add_argument("--purge", action="store_true", help="remove the built programs as well")
    commands.add_parser("status", help="which part runs and is ready; exit code 1 if any is not")
    load = commands.add_parser("load", help="import images, so that pods find them")
    load.add_argument("image", nargs="+", help="an archive, or an image of the Docker engine")
    commands.add_parser("kubeconfig", help="print the kubeconfig's path")
    commands.add_parser("exec-path", help="print the directory with kubectl and helm")
    commands.add_parser("env", help='for eval "$(...)": KUBECONFIG, and PATH with kubectl and helm')
    for verb, what in (
        ("start", "start one component of the node"),
        ("stop", "stop one (TERM)"),
        ("kill", "kill one (KILL)"),
        ("restart", "stop one, start it, and wait until it is ready"),
    ):
        commands.add_parser(verb, help=what).add_argument("component")
    return parser.parse_args()


def main() -> int:
    """Exit code 1 where something fails, with the reason on standard error."""
    arguments = _arguments()
    log = Progress()
    try:
        cluster = this_cluster(os.environ)
        command: str = arguments.command
        if command in ("start", "stop", "kill", "restart"):
            with _locked(cluster, log):
                node.change(cluster, command, arguments.component)
            return 0
        if command in ("up", "down", "load"):
            actions: dict[str, Callable[[], None]] = {
                "up": lambda: _up(cluster, log),
                "down": lambda: _down(cluster, log, purge=arguments.purge),
                "load": lambda: _load(cluster, arguments.image, log),
            }
            with _locked(cluster, log):
                actions[command]()
            return 0
        if command == "status":
            return _status(cluster)
        if command == "env":
            _environment(cluster, log)
        else:
            print(cluster.kubeconfig if command == "kubeconfig" else clients(cluster, log))
    except ClusterError as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
