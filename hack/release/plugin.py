"""`kubectl reports` as a plugin for Krew: an archive, and the manifest that names its checksum.

What ships is a zipapp, with the libraries it needs in it, and a launcher that looks for a Python
that is new enough: the same on Linux and macOS, on every processor, and nothing is installed or
fetched when it is first used. The command imports neither pydantic nor anything else that is built
for one platform.
"""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hack.image.oci import EPOCH
from hack.image.recipe import ROOT
from hack.image.rootfs import BuildError

LOCK = ROOT / "requirements" / "image.txt"
# All that the command imports beside the standard library and itself: each is Python alone.
LIBRARIES = ("idna", "rich")
# Our own modules, by the directory that they are imported from.
OWN = {
    ROOT / "operator": ("admin_cli/*.py",),
    ROOT: (
        "report_runner/__init__.py", "report_runner/redaction.py",
        "report_runner/contract/__init__.py", "report_runner/contract/mailbox.py",
    ),
}  # fmt: skip
# Of an installation, not of the library: they name the directory that it was made in.
INSTALLED = ("RECORD", "INSTALLER", "REQUESTED")
APP = "kubectl-reports.pyz"  # by its first letters the command knows that it is a plugin
MAIN = "import sys\n\nfrom admin_cli.main import main\n\nsys.exit(main())\n"
LAUNCHER = f"""\
#!/bin/sh
# Krew puts a link to this file on PATH: the program is beside the file itself.
self=$0
while [ -L "$self" ]; do
    target=$(readlink "$self")
    case $target in
        /*) self=$target ;;
        *) self=$(dirname "$self")/$target ;;
    esac
done
case $(basename "$self") in
    kubectl_complete-*) set -- __complete "$@" ;;
esac
for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -I "$(dirname "$self")/{APP}" "$@"
    fi
done
echo "kubectl reports: needs Python 3.11 or newer on PATH (python3 or python3.11 and so on)" >&2
exit 69
"""
LAUNCHERS = ("kubectl-reports", "kubectl_complete-reports")
MANIFEST = """\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: reports
spec:
  version: v{version}
  shortDescription: Operate scheduled business reports
  description: |
    For on-call and for authors of ReportSchedules: which reports failed or are late and why, runs
    and their logs, retry, run now, backfills, the queue, and a file for support without Secrets.
    It asks the admin API of the report scheduler through kubectl port-forward.
  caveats: |
    Needs Python 3.11 or newer on PATH, and the report scheduler in the cluster.
    For completion by TAB put a link to kubectl_complete-reports of this plugin's directory
    beside kubectl-reports in the bin directory of Krew.
  platforms:
    - selector:
        matchExpressions:
          - {{key: os, operator: In, values: [darwin, linux]}}
      uri: "{uri}"
      sha256: "{sha256}"
      bin: kubectl-reports
"""


def make_plugin() -> bytes:
    """The archive; equal sources and libraries give equal bytes. Raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="plugin-") as directory:
        libraries = Path(directory, "libraries")
        _install(libraries, Path(directory, "venv"))
        app = make_app(libraries)
    files = {
        **{name: (LAUNCHER.encode(), 0o755) for name in LAUNCHERS},
        APP: (app, 0o644),
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
    }
    plain, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, EPOCH
            tar.addfile(info, io.BytesIO(content))
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        file.write(plain.getvalue())
    return packed.getvalue()


def make_app(libraries: Path) -> bytes:
    """A zipapp of the command with the libraries of a directory, their licences among them."""
    files = {"__main__.py": MAIN.encode()}
    files |= {name: path.read_bytes() for name, path in _own()}
    files |= {
        path.relative_to(libraries).as_posix(): path.read_bytes()
        for path in libraries.rglob("*")
        if path.is_file()
        and not {"__pycache__", "bin"} & set(path.parts[-2:-1])
        and path.name not in INSTALLED
    }
    made = io.BytesIO()
    at = datetime.fromtimestamp(EPOCH, UTC)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, at.timetuple()[:6])
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, content)
    return made.getvalue()


def manifest(version: str, uri: str, sha256: str) -> str:
    """https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/."""
    return MANIFEST.format(version=version, uri=uri, sha256=sha256)


def _own() -> Iterator[tuple[str, Path]]:
    for root, patterns in OWN.items():
        for pattern in patterns:
            for path in root.glob(pattern):
                yield path.relative_to(root).as_posix(), path


def _locked(name: str) -> str:
    """The lines of a package in the lock file, with its hashes."""
    found = re.search(rf"^{name}==(?:.*\\\n)+.*\n", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{LOCK.name} has no {name}")
    return found[0]


def _install(libraries: Path, venv: Path) -> None:
    """As the image has them, without what the command does not import of their own."""
    wanted = venv.with_suffix(".txt")
    wanted.write_text("".join(_locked(name) for name in LIBRARIES))
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [
            str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps",
            "--no-compile", "--require-hashes", "--only-binary", ":all:",
            "--target", str(libraries), "-r", str(wanted),
        ],
    ):  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"the plugin's libraries: {done.stderr.strip()[-1000:]}")
