"""Container images into the node's containerd."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

from hack.localcluster.cluster import Cluster, ClusterError
from hack.localcluster.config import PAUSE_IMAGE

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pause_archive(program: bytes) -> bytes:
    """The pause image, one static program that holds a pod's namespaces: a `docker save` tar."""
    layer = _tar({"pause": (program, 0o755)})
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    return _tar(
        {
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
            "config.json": (json.dumps(config).encode(), 0o644),
            "layer.tar": (layer, 0o644),
        }
    )


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def load(cluster: Cluster, archive: Path, snapshotter: str) -> list[str]:
    """Import an OCI or `docker save` archive into the kubelet's image store; the images' names.

    Raises ClusterError for a file that is no such archive.

    """
    if not archive.is_file():
        raise ClusterError(f"{archive}: no such file")
    ctr = ["ctr", f"--address={cluster.containerd_socket}", "--namespace=k8s.io"]
    command = [*ctr, "images", "import", f"--snapshotter={snapshotter}", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{archive}: not imported: {done.stderr.strip()}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("unpacking ")]
    return [line.split()[1] for line in lines]
