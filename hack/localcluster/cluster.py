"""The cluster's name, and the paths of all its files."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HACK = ROOT / "hack"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_LONGEST_SOCKET = 107  # bytes, as the kernel's sockaddr_un has them
_PORTS = range(20000, 28000)  # below the range from which the kernel gives ephemeral ports


class ClusterError(Exception):
    """A failure for the user to read: what went wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's name and its files. `base` is the cache that all checkouts share."""

    name: str
    base: Path

    @property
    def context(self) -> str:
        """Name of the kubeconfig context, also of the cgroup and the pods' network."""
        return f"adaf-{self.name}"

    @property
    def state(self) -> Path:
        """Directory of this cluster's files; removed by `down`."""
        return self.base / "clusters" / self.name

    @property
    def lock(self) -> Path:
        """Held while one command changes this cluster."""
        return self.base / "clusters" / f"{self.name}.lock"

    @property
    def kubeconfig(self) -> Path:
        """For people and tests; its only context is the current one."""
        return self.state / "kubeconfig"

    @property
    def backend(self) -> Path:
        """File with the word node, kind or user; written when `up` begins."""
        return self.state / "backend"

    @property
    def complete(self) -> Path:
        """File that exists once the cluster has been ready for the first time."""
        return self.state / "complete"

    @property
    def netns(self) -> Path:
        """The node's network namespace, as a file for `nsenter --net=`."""
        return self.state / "netns"

    @property
    def containerd_socket(self) -> Path:
        """Also the container runtime's endpoint for the kubelet."""
        return self.state / "containerd.sock"

    def pki(self, file: str) -> str:
        """Path of a certificate or key."""
        return str(self.state / "pki" / file)

    def logs(self, component: str) -> Path:
        return self.state / "logs" / f"{component}.log"

    def component_kubeconfig(self, component: str) -> Path:
        return self.state / "config" / f"{component}.kubeconfig"

    def config(self, file: str) -> Path:
        return self.state / "config" / file


def cache_base(environment: Mapping[str, str]) -> Path:
    """The cache directory outside of the tree, without symbolic links in its path."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environment.get("ADAF_CACHE") or Path(cache, "adaf-reports")).resolve()


def default_name(checkout: Path) -> str:
    """Name unique to a checkout: its directory's name and a hash of its path."""
    digest = hashlib.sha256(str(checkout).encode()).hexdigest()[:6]
    word = re.sub(r"[^a-z0-9]+", "-", checkout.name.lower())[:16].strip("-")
    return f"{word or 'checkout'}-{digest}"


def this_cluster(environment: Mapping[str, str]) -> Cluster:
    """The checkout's cluster, or the one that ADAF_CLUSTER names.

    Raises ClusterError for a name that is no DNS label of at most 30 characters, and where the
    cache's path is so long that the node's sockets cannot be made in it.
    """
    name = environment.get("ADAF_CLUSTER") or default_name(ROOT)
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"ADAF_CLUSTER={name}: a cluster's name is at most 30 lower-case letters, digits and "
            "dashes, and begins and ends with a letter or digit"
        )
    cluster = Cluster(name, cache_base(environment))
    longest = len(os.fsencode(str(cluster.state / "kubelet/pod-resources/kubelet.sock")))
    if longest > _LONGEST_SOCKET:
        raise ClusterError(
            f"{cluster.state}: the path is {longest - _LONGEST_SOCKET} bytes too long for the "
            "node's sockets; set ADAF_CACHE to a shorter directory, or ADAF_CLUSTER to a short name"
        )
    return cluster


def candidate_ports(name: str) -> Iterable[int]:
    """All ports that may be forwarded, in an order that depends on the name alone."""
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(_PORTS)
    return (_PORTS[(first + step * 7) % len(_PORTS)] for step in range(len(_PORTS)))


def free_port(name: str) -> int:
    """A TCP port of 127.0.0.1 on which nobody listens."""
    for port in candidate_ports(name):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ClusterError("no free port on 127.0.0.1 between 20000 and 28000")
