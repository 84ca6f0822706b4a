"""Layers and archives that `docker load`, `ctr images import` and registries accept."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EPOCH = 1735689600  # the time on everything that is built, so that equal inputs give equal bytes
_CHUNK = 1 << 20
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Layer:
    """An uncompressed tar; its digest is its diff id as well."""

    path: Path
    sha256: str

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True)
class ImageConfig:
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "65532:65532"
    workdir: str = "/tmp"
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def stored_layer(path: Path) -> Layer | None:
    """The layer of an earlier build, or None."""
    digest = path.with_suffix(".sha256")
    if path.exists() and digest.exists():
        return Layer(path, digest.read_text().strip())
    return None


def seal_layer(temporary: Path, path: Path) -> Layer:
    """Move a finished tar to its final name and write its digest beside it."""
    sha = hashlib.sha256()
    with temporary.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    path.with_suffix(".sha256").write_text(sha.hexdigest() + "\n")
    temporary.replace(path)
    return Layer(path, sha.hexdigest())


def layer_of_tree(root: Path, tops: Iterable[str], path: Path) -> Layer:
    """Pack the directories `tops` (relative to `root`) as root's, sorted, with one time stamp."""
    temporary = path.with_suffix(".partial")
    with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        for top in tops:
            parents = list(reversed(Path(top).parents))[1:]
            for parent in parents:
                tar.add(root / parent, parent.as_posix(), recursive=False, filter=_plain)
            tar.add(root / top, top, recursive=False, filter=_plain)
            for directory, names, files in os.walk(root / top):
                names.sort()
                below = Path(directory).relative_to(root)
                for name in sorted([*names, *files]):
                    tar.add(
                        root / below / name,
                        (below / name).as_posix(),
                        recursive=False,
                        filter=_plain,
                    )
    return seal_layer(temporary, path)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = EPOCH
    return info


def write_archive(
    path: Path, name: str, layers: Iterable[Layer], config: ImageConfig, architecture: str
) -> None:
    """Write one tar that is both an OCI layout and a `docker save` archive."""
    layers = list(layers)
    config_blob = _json(_image_config(layers, config, architecture))
    config_sha = hashlib.sha256(config_blob).hexdigest()
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config_sha, len(config_blob)),
            "layers": [_descriptor(_LAYER, layer.sha256, layer.size) for layer in layers],
        }
    )
    manifest_sha = hashlib.sha256(manifest).hexdigest()
    entry = _descriptor(_MANIFEST, manifest_sha, len(manifest))
    entry["platform"] = {"os": "linux", "architecture": architecture}
    entry["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    docker = [
        {
            "Config": f"blobs/sha256/{config_sha}",
            "RepoTags": [name],
            "Layers": [f"blobs/sha256/{layer.sha256}" for layer in layers],
        }
    ]
    temporary = path.with_suffix(".partial")
    with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [entry]}))
        _add(tar, "manifest.json", _json(docker))
        _add(tar, f"blobs/sha256/{manifest_sha}", manifest)
        _add(tar, f"blobs/sha256/{config_sha}", config_blob)
        for layer in layers:
            info = tarfile.TarInfo(f"blobs/sha256/{layer.sha256}")
            info.size, info.mtime = layer.size, EPOCH
            with layer.path.open("rb") as file:
                tar.addfile(info, file)
    temporary.replace(path)


def _image_config(layers: list[Layer], config: ImageConfig, architecture: str) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": "2025-01-01T00:00:00Z",
        "config": {
            "User": config.user,
            "Env": [f"{key}={value}" for key, value in config.env.items()],
            "WorkingDir": config.workdir,
            "Cmd": list(config.command),
            "Labels": dict(config.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in layers]},
    }


def _descriptor(media_type: str, sha256: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), EPOCH
    tar.addfile(info, io.BytesIO(data))
