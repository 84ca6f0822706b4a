"""Images to the layout of docker-library's `postgres` and `redis`, which no registry gives here.

What the chart could stumble over is theirs: an entry point that is bypassed, a PATH with the
programs elsewhere, PGDATA in an anonymous volume, users of id 999, SIGINT as the stop signal, and
root where nobody says another. The programs are those of the image `adaf-services`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENTRYPOINT = b'#!/bin/sh\necho "docker-entrypoint.sh of the image"\nexec "$@"\n'
LAYOUTS: dict[str, dict[str, Any]] = {
    "postgres": {
        "Env": [
            f"PATH={SYSTEM_PATH}:/usr/lib/postgresql/15/bin",
            "GOSU_VERSION=1.17",
            "LANG=en_US.utf8",
            "PG_MAJOR=15",
            "PGDATA=/var/lib/postgresql/data",
        ],
        "Cmd": ["postgres"],
        "Volumes": {"/var/lib/postgresql/data": {}},
        "StopSignal": "SIGINT",
    },
    "redis": {
        "Env": [f"PATH={SYSTEM_PATH}", "REDIS_VERSION=7.0"],
        "Cmd": ["redis-server"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/data",
    },
}
LINKS = ("redis-server", "redis-cli")  # built from source there


def archive(store: str, services: Path, directory: Path) -> tuple[str, Path]:
    """Name and `docker save` archive of the image, from the archive of adaf-services."""
    name = f"localhost/official-{store}:test"
    with tarfile.open(services) as packed:
        manifest = json.loads(_read(packed, "manifest.json"))[0]
        config = json.loads(_read(packed, manifest["Config"]))
        layers = {path: _read(packed, path) for path in manifest["Layers"]}
    extra = _layer(store)
    layers["official.tar"] = extra
    config["config"] = {"Entrypoint": ["docker-entrypoint.sh"], **LAYOUTS[store]}
    config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(extra).hexdigest()}")
    config["history"] = []
    written = directory / f"official-{store}.tar"
    files = {
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": [name], "Layers": list(layers)}]
        ).encode(),
        **layers,
    }
    with tarfile.open(written, "w") as made:
        for path, content in files.items():
            made.addfile(_info(path, content), io.BytesIO(content))
    return name, written


def _layer(store: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        user = f"root:x:0:0::/root:/bin/sh\n{store}:x:999:999::/var/lib/{store}:/bin/sh\n".encode()
        for path, content in (
            ("etc/passwd", user), ("usr/local/bin/docker-entrypoint.sh", ENTRYPOINT)
        ):  # fmt: skip
            info = _info(path, content)
            info.mode = 0o755 if path.endswith(".sh") else 0o644
            layer.addfile(info, io.BytesIO(content))
        for program in LINKS if store == "redis" else ():
            link = tarfile.TarInfo(f"usr/local/bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, f"/usr/bin/{program}"
            layer.addfile(link)
    return packed.getvalue()


def _info(path: str, content: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(content), 0o644
    return info


def _read(packed: tarfile.TarFile, path: str) -> bytes:
    member = packed.extractfile(path)
    assert member is not None, path
    return member.read()
