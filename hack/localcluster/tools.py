"""Programs that the local node needs: Debian packages, and the Go program."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.cluster import HACK, Cluster, ClusterError
from hack.localcluster.golang import go_command
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.versions import KUBERNETES

_NODE_SOURCE = HACK / "node"
# Program or file -> Debian package.
_DEBIAN = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "umount": "mount",
}
_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """The built Go programs."""

    node: Path
    pause: Path


def install_debian_packages(cluster: Cluster, log: Progress) -> None:
    """Install missing packages; none of their services is started.

    Raises ClusterError where packages are missing and cannot be installed.

    """
    missing = [
        package
        for program, package in _DEBIAN.items()
        if not (Path(program).exists() if program.startswith("/") else shutil.which(program))
    ]
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise ClusterError(
            f"missing on this machine: {', '.join(missing)} (names of Debian packages); install "
            "them, or run as root on Debian"
        )
    log(f"installing Debian packages: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    log_file = cluster.logs("apt-get")
    with _no_services():
        try:
            run_logged(install, log_file, log, "installing packages", env=environment)
        except ClusterError:  # the package lists may be old
            run_logged(["apt-get", "update"], log_file, log, "apt-get update", env=environment)
            run_logged(install, log_file, log, "installing packages", env=environment)


@contextmanager
def _no_services() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def content_key(sources: Mapping[str, bytes], *settings: str) -> str:
    """Twelve hexadecimal digits over all inputs of a build."""
    digest = hashlib.sha256()
    for part in [*settings, *(f"{n}:{hashlib.sha256(c).hexdigest()}" for n, c in sources.items())]:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:12]


def node_programs(cluster: Cluster, log: Progress) -> NodePrograms:
    """The Go programs, from the cache or built.

    Raises ClusterError where Go is missing or the build fails.

    """
    about = "k8s.io/component-base/version"
    flags = (
        f"-s -w -X {about}.gitVersion={KUBERNETES} "
        f"-X {about}.gitMajor={KUBERNETES.major} -X {about}.gitMinor={KUBERNETES.minor}"
    )
    files = sorted(p for p in _NODE_SOURCE.rglob("*") if p.is_file())
    sources = {str(p.relative_to(_NODE_SOURCE)): p.read_bytes() for p in files}
    key = content_key(sources, platform.machine(), flags)
    place = cluster.base / "node" / key
    programs = NodePrograms(place / "node", place / "pause")
    if place.is_dir():
        return programs
    try:
        go = go_command()
    except ClusterError as error:
        raise ClusterError(
            f"the node is built with Go: {error}\n"
            "Without Go: install Docker, or name a cluster of your own by KUBECONTEXT=<context>"
        ) from error
    with locked(cluster.base / "node.lock"):
        if place.is_dir():
            return programs  # another checkout has built it meanwhile
        unfinished = place.with_name(f".{key}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        environment.setdefault(
            "GOGC", "400"
        )  # the compiler collects less, for memory that is there
        log_file = cluster.logs("build")
        build = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags]
        log("fetching the Go modules of Kubernetes, etcd and CoreDNS")
        run_logged(
            [go, "mod", "download"], log_file, log, "fetching", cwd=_NODE_SOURCE, env=environment
        )
        log("compiling them (4 minutes on two idle cores; the result is kept)")
        for target, package in (("pause", "./pause"), ("node", ".")):
            command = [*build, "-o", str(unfinished / target), package]
            run_logged(command, log_file, log, "compiling", cwd=_NODE_SOURCE, env=environment)
        unfinished.rename(place)
    return programs


@contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
