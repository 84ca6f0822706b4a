"""`python3 -m hack.release`: everything that a release has, in one directory.

Images as OCI archives, the chart, kubectl's plugin with its manifest for Krew, an SBOM of each
image (CycloneDX), the licences, a statement of provenance (in-toto, SLSA 1), and SHA256SUMS over
all of them, which is signed where a key is given: whoever checks its signature and then the sums
has checked everything. Two runs of one commit give the same bytes, where the registries give the
same packages.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.image.oci import EPOCH
from hack.image.recipe import ROOT, Progress, recipes, version
from hack.image.reproduce import image_digest
from hack.image.rootfs import BuildError
from hack.localcluster.clients import clients
from hack.localcluster.cluster import ClusterError, this_cluster
from hack.localcluster.progress import Progress as ClusterProgress
from hack.release.inventory import Component, read_image
from hack.release.licences import SHIPPED, texts
from hack.release.plugin import make_plugin, manifest
from hack.release.sbom import make_sbom

CHART = ROOT / "charts" / "adaf-report-scheduler"
SUMS, STATEMENT = "SHA256SUMS", "provenance.intoto.json"
LOCKS = ("image.txt", "build.txt")


def main() -> int:
    """Exit code 1 with the reason where there is no release to make."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.release", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--gpg-key", help="sign with this key of gpg")
    parser.add_argument("--cosign-key", help="sign with this key of cosign (a file, or a KMS URI)")
    parser.add_argument(
        "--download-url", default="", metavar="URL",
        help="the directory that the files will be fetched from: Krew's manifest names it",
    )  # fmt: skip
    parser.add_argument("--allow-dirty", action="store_true", help="of uncommitted changes too")
    arguments = parser.parse_args()
    try:
        made = release(
            arguments.output,
            allow_dirty=arguments.allow_dirty,
            download_url=arguments.download_url,
        )
        signature = sign(arguments.output, arguments.gpg_key, arguments.cosign_key)
    except (ReleaseError, BuildError, ClusterError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(*made, SUMS, sep="\n")
    print(signature or f"unsigned: no key was given; sign {SUMS} before anybody is to trust it")
    return 0


class ReleaseError(Exception):
    """The message says what is missing."""


def release(output: Path, *, allow_dirty: bool, download_url: str = "") -> list[str]:
    """The names of the files made, without the sums'. Raises ReleaseError, BuildError."""
    commit, dirty = _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain"))
    if dirty and not allow_dirty:
        raise ReleaseError("there are uncommitted changes, so no commit names this source")
    moment = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct")), UTC)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    contents: list[Component] = []
    for short in SHIPPED:
        recipe = recipes()[short]
        image = recipe.build(Progress())
        name = f"{recipe.name}-{version()}"
        shutil.copyfile(image.archive, output / f"{name}.oci.tar")
        components = read_image(image.archive)
        contents += components
        bom = make_sbom(
            recipe.name, image_digest(image.archive), version(), f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            components,
        )  # fmt: skip
        _write(output / f"{name}.cdx.json", bom)
    (output / "licences.txt").write_text(texts(contents))
    _chart(output)
    _plugin(output, download_url)
    subjects = sorted(path.name for path in output.iterdir())
    _write(output / STATEMENT, statement(output, subjects, commit, dirty=dirty))
    names = [*subjects, STATEMENT]
    lines = [f"{_sha256(output / name)}  {name}\n" for name in sorted(names)]
    (output / SUMS).write_text("".join(lines))
    return names


def statement(output: Path, subjects: Sequence[str], commit: str, *, dirty: bool) -> dict[str, Any]:
    """https://slsa.dev/spec/v1.0/provenance."""
    locks = [ROOT / "requirements" / name for name in LOCKS]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": _sha256(output / name)}} for name in subjects
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:adaf-report-scheduler:hack-release:v1",
                "externalParameters": {"version": version(), "uncommittedChanges": dirty},
                "resolvedDependencies": [
                    {"uri": "git+file:///", "digest": {"gitCommit": commit}},
                    *(
                        {
                            "uri": path.relative_to(ROOT).as_posix(),
                            "digest": {"sha256": _sha256(path)},
                        }
                        for path in locks
                    ),
                ],
            },
            # Who runs this is the builder: nobody else vouches for the machine.
            "runDetails": {"builder": {"id": "urn:adaf-report-scheduler:whoever-signs"}},
        },
    }


def sign(output: Path, gpg_key: str | None, cosign_key: str | None) -> str | None:
    """What was signed with what; None without a key. Raises ReleaseError."""
    sums = output / SUMS
    commands = {
        "gpg": gpg_key
        and ["gpg", "--batch", "--yes", "--armor", "--local-user", gpg_key,
             "--output", f"{sums}.asc", "--detach-sign", str(sums)],
        "cosign": cosign_key
        and ["cosign", "sign-blob", "--yes", "--key", cosign_key,
             "--bundle", f"{sums}.bundle", str(sums)],
    }  # fmt: skip
    used = []
    for program, command in commands.items():
        if not command:
            continue
        if shutil.which(program) is None:
            raise ReleaseError(f"a key for {program} is given, and there is no {program} on PATH")
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ReleaseError(f"{program} did not sign: {done.stderr.strip()}")
        used.append(program)
    return f"{SUMS} is signed by {' and '.join(used)}" if used else None


def _chart(output: Path) -> None:
    """As `helm package` makes it, with the times of everything that is built."""
    helm = clients(this_cluster(os.environ), ClusterProgress()) / "helm"
    done = subprocess.run(
        [helm, "package", str(CHART), "--destination", str(output)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"helm package: {done.stderr.strip()}")
    (archive,) = output.glob("*.tgz")
    archive.write_bytes(same_every_time(archive.read_bytes()))


def _plugin(output: Path, download_url: str) -> None:
    """Without a URL the manifest names the file alone, to be installed with `--archive`."""
    name = f"kubectl-reports-{version()}.tar.gz"
    (output / name).write_bytes(make_plugin())
    uri = f"{download_url.rstrip('/')}/{name}" if download_url else name
    (output / "reports.yaml").write_text(manifest(version(), uri, _sha256(output / name)))


def same_every_time(packed: bytes) -> bytes:
    """A chart's archive with its files in order, one time and no owner."""
    plain, out = io.BytesIO(), io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed)) as given,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        for item in sorted(given.getmembers(), key=lambda one: one.name):
            info = tarfile.TarInfo(item.name)
            info.size, info.mode, info.mtime = item.size, 0o644, EPOCH
            made.addfile(info, given.extractfile(item))
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as file:
        file.write(plain.getvalue())
    return out.getvalue()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], check=False, capture_output=True, text=True,
        env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
