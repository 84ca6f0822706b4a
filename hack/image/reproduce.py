"""`python3 -m hack.image.reproduce [IMAGE...]`: builds each twice, compares digests.

The two builds share no cache: packages and wheels are fetched twice. What a registry has changed in
between shows as a difference as well; the layer that differs is named, and its first files that do.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

FILES_NAMED = 10


def main() -> int:
    """Exit code 1 where two builds differ."""
    names = sys.argv[1:] or ["runner", "services"]
    failed = False
    with tempfile.TemporaryDirectory(prefix="adaf-twice-") as directory:
        for name in names:
            archives = [_built(name, Path(directory, f"{name}-{number}")) for number in (1, 2)]
            digests = [image_digest(archive) for archive in archives]
            same = digests[0] == digests[1]
            print(f"{name}: {' and '.join(dict.fromkeys(digests))}{'' if same else ': differ'}")
            if not same:
                failed = True
                print(*differences(*archives), sep="\n")
    return int(failed)


def _built(name: str, cache: Path) -> Path:
    cache.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "hack.image", "build", name],
        env=os.environ | {"ADAF_CACHE": str(cache)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(done.stdout.split()[1])


def image_manifest(archive: Path) -> tuple[str, dict[str, Any]]:
    """Digest and content of the image's manifest in an OCI archive."""
    with tarfile.open(archive) as tar:
        (entry,) = json.loads(_read(tar, "index.json"))["manifests"]
        return entry["digest"], json.loads(_read(tar, _blob(entry["digest"])))


def image_digest(archive: Path) -> str:
    return image_manifest(archive)[0]


def differences(one: Path, other: Path) -> list[str]:
    """Each layer that differs, with some of the files in it that do."""
    found = []
    pairs = zip_longest(*(image_manifest(archive)[1]["layers"] for archive in (one, other)))
    for number, (left, right) in enumerate(pairs, 1):
        if left == right:
            continue
        files = [
            _contents(archive, layer["digest"]) if layer else {}
            for archive, layer in ((one, left), (other, right))
        ]
        names = sorted(
            name for name in {*files[0], *files[1]} if files[0].get(name) != files[1].get(name)
        )
        found.append(f"  layer {number}: {len(names)} files: {', '.join(names[:FILES_NAMED])}")
    return found


def _contents(archive: Path, digest: str) -> dict[str, object]:
    with (
        tarfile.open(archive) as tar,
        tarfile.open(fileobj=_file(tar, _blob(digest))) as layer,
    ):
        return {
            item.name: (
                item.mode, item.uid, item.gid, item.mtime, item.type, item.linkname,
                hashlib.sha256(_file(layer, item).read()).hexdigest() if item.isreg() else "",
            )
            for item in layer
        }  # fmt: skip


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    return _file(tar, name).read()


def _file(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    assert file is not None
    return file


if __name__ == "__main__":
    sys.exit(main())
