"""kind's node image, of Go modules and Debian packages, where no registry has it to give.

kind itself makes it, by `kind build node-image`, of a release of Kubernetes that is put together
here; the programs are those of hack/node and of the modules below.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.engine.daemon import Engine
from hack.localcluster.clients import clients, kind_program
from hack.localcluster.cluster import HACK, Cluster
from hack.localcluster.golang import go_command
from hack.localcluster.progress import Progress, repeating, run_logged
from hack.localcluster.tools import content_key, node_programs
from hack.localcluster.versions import KIND, KUBERNETES

_HERE = HACK / "engine" / "kind"
_KIND_MODULE = f"sigs.k8s.io/kind@{KIND}"
_CONTAINERD = "github.com/containerd/containerd/v2"  # of the version that kind's own image has
_STORAGE = "github.com/rancher/local-path-provisioner@v0.0.30"
_REPOSITORY = "localhost/adaf-kind-node"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kind's own module says: the files of its node, and the images that it names."""

    files: Path
    containerd: str
    pause: str
    kindnet: str
    storage: tuple[str, ...]


def node_image(engine: Engine, cluster: Cluster, log: Progress) -> str:
    """The image's name, made unless the engine has it. Raises ClusterError."""
    name = f"{_REPOSITORY}:{KUBERNETES}-{_key()}"
    if engine.has_image(name):
        return name
    kind = _kind_module(cluster, log)
    programs = _programs(cluster, kind, log)
    with tempfile.TemporaryDirectory(prefix="adaf-kind-") as directory:
        context = Path(directory, "context")
        shutil.copytree(kind.files, context / "kind")
        shutil.copytree(programs, context / "bin")
        for file in _HERE.iterdir():
            shutil.copy(file, context / file.name)
        _writable(context)
        built = {
            target: f"{_REPOSITORY}-{target}"
            for target in ("node", "parts", "coredns", "kindnet", "pause")
        }
        for target, tag in built.items():
            _docker(engine, cluster, log, f"docker build of {target}", "build", f"--tag={tag}",
                    f"--target={target}", str(context))  # fmt: skip
        release = Path(directory, "kubernetes-server.tar.gz")
        log("packing a release of Kubernetes for kind")
        with repeating(lambda: log("... packing a release of Kubernetes for kind")):
            _release(engine, programs, _images(programs, kind, built), Path(directory), release)
        _command(
            engine, cluster, log, "kind build node-image",
            str(kind_program(cluster, log)), "build", "node-image", "--type=file",
            f"--base-image={built['node']}:latest", f"--image={name}", str(release),
        )  # fmt: skip
    return name


def _key() -> str:
    files = [*_HERE.iterdir(), *(p for p in (HACK / "node").rglob("*") if p.is_file())]
    sources = {str(p.relative_to(HACK)): p.read_bytes() for p in sorted(files)}
    return content_key(sources, KIND, _STORAGE)


def _kind_module(cluster: Cluster, log: Progress) -> _Kind:
    log_file = cluster.logs("kind-module")
    fetch = [go_command(), "mod", "download", "-json", _KIND_MODULE]
    run_logged(fetch, log_file, log, "fetching kind")
    module = Path(json.loads(log_file.read_text())["Dir"])
    dockerfile = (module / "images/base/Dockerfile").read_text()
    files = module / "images/base/files"
    named = sorted(
        image
        for source in (module / "pkg/build/nodeimage").glob("const_*.go")
        for image in re.findall(r'"(docker\.io/kindest/[^"]+)"', source.read_text())
    )
    config = (files / "etc/containerd/config.toml").read_text()
    return _Kind(
        files,
        _only(r'CONTAINERD_VERSION="([^"]+)"', dockerfile),
        _only(r'sandbox_image\s*=\s*"([^"]+)"', config),
        next(image for image in named if "/kindnetd:" in image),
        tuple(image for image in named if "/local-path" in image),
    )


def _only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)


def _programs(cluster: Cluster, kind: _Kind, log: Progress) -> Path:
    """A directory with all programs, from the cache or built."""
    own = node_programs(cluster, log)
    key = f"{own.node.parent.name}-{kind.containerd}-{_STORAGE.rpartition('@')[2]}"
    place = cluster.base / "kind-node" / key
    if place.is_dir():
        return place
    partial = place.with_name(f".{key}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOBIN": str(partial)}
    flags = ["-trimpath", "-ldflags=-s -w"]
    log("compiling containerd, kubeadm and the volume provisioner (2 minutes; the result is kept)")
    go = go_command()
    kubeadm = [go, "build", *flags, "-o", str(partial), "k8s.io/kubernetes/cmd/kubeadm"]
    commands = [
        (kubeadm, HACK / "node"),
        ([go, "install", *flags, _STORAGE], None),
        ([go, "install", *flags,
          *(f"{_CONTAINERD}/cmd/{name}@{kind.containerd}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr"))], None),
    ]  # fmt: skip
    for command, cwd in commands:
        run_logged(command, cluster.logs("kind-node"), log, "compiling", cwd=cwd, env=environment)
    for program in (own.node, own.pause, clients(cluster, log) / "kubectl"):
        shutil.copy(program, partial)
    partial.rename(place)
    return place


def _images(programs: Path, kind: _Kind, built: dict[str, str]) -> dict[str, str]:
    """The image that stands for each name that kubeadm or kind's manifests ask for."""
    command = [str(programs / "kubeadm"), "config", "images", "list"]
    command += [f"--kubernetes-version={KUBERNETES}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # kind has a pause image of its own, and leaves out that of kubeadm as well.
    wanted = [name for name in done.stdout.split() if "/pause:" not in name]
    found = dict.fromkeys((*wanted, *kind.storage), built["parts"])
    coredns = next(name for name in found if "/coredns" in name)
    return {**found, coredns: built["coredns"], kind.kindnet: built["kindnet"],
            kind.pause: built["pause"]}  # fmt: skip


def _release(
    engine: Engine, programs: Path, images: dict[str, str], scratch: Path, target: Path
) -> None:
    """A release of Kubernetes as kind reads it: three programs, and archives of images."""
    archives = {name: scratch / f"{name}.tar" for name in ("all", "pause")}
    pause = next(name for name in images if "/pause:" in name)
    _save(engine, images, scratch, archives["all"])
    _save(engine, {pause: images[pause]}, scratch, archives["pause"])
    with tarfile.open(target, "w:gz", compresslevel=0) as tar:
        version = str(KUBERNETES).encode()
        member = tarfile.TarInfo("kubernetes/version")
        member.size = len(version)
        tar.addfile(member, io.BytesIO(version))
        for program in ("kubeadm", "kubelet", "kubectl"):
            source = programs / ("node" if program == "kubelet" else program)
            tar.add(source, f"kubernetes/server/bin/{program}")
        for name in ("apiserver", "controller-manager", "scheduler", "proxy"):
            # One archive has everything, layers that all share once; the others have to be there.
            archive = archives["all" if name == "apiserver" else "pause"]
            tar.add(archive, f"kubernetes/server/bin/kube-{name}.tar")


def _save(engine: Engine, images: dict[str, str], scratch: Path, target: Path) -> None:
    """`docker save`, under names that have their registry, which docker.io's lose in it."""
    saved = scratch / "saved.tar"
    engine.docker("save", f"--output={saved}", *sorted(set(images.values())))
    repositories: dict[str, dict[str, str]] = {}
    for name in images:
        repository, _, tag = name.rpartition(":")
        repositories.setdefault(repository, {})[tag] = ""
    with tarfile.open(saved) as source, tarfile.open(target, "w") as tar:
        _add(tar, "repositories", repositories)
        for member in source:
            if member.name == "manifest.json":
                content = source.extractfile(member)
                assert content is not None
                manifest = json.load(content)
                for entry in manifest:
                    ours = {tag.removesuffix(":latest") for tag in entry["RepoTags"]}
                    entry["RepoTags"] = [n for n, image in images.items() if image in ours]
                _add(tar, "manifest.json", manifest)
            elif member.name != "repositories":
                tar.addfile(member, source.extractfile(member) if member.isfile() else None)


def _add(tar: tarfile.TarFile, name: str, value: object) -> None:
    content = json.dumps(value).encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _writable(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)  # Go's module cache is read-only


def _docker(engine: Engine, cluster: Cluster, log: Progress, what: str, *arguments: str) -> None:
    _command(engine, cluster, log, what, "docker", *arguments)


def _command(engine: Engine, cluster: Cluster, log: Progress, what: str, *command: str) -> None:
    line: Sequence[str] = engine.command(*command)
    log(what)
    run_logged(line, cluster.logs("kind-node"), log, what, env=engine.environment)
