"""Go as the modules of this repository want it, also where a distribution has an older one."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from hack.localcluster.cluster import ClusterError
from hack.localcluster.progress import Progress, repeating
from hack.localcluster.versions import GO_TOOLCHAIN

_NUMBERS = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


@functools.cache
def go_command() -> str:
    """Path of a `go` that is new enough: the one on PATH, or what that one fetches.

    Go before 1.21 (Debian 12 has 1.19) cannot read our go.mod, and distributions have newer ones
    not change to another version by themselves. All can fetch that version as the module that it
    is (https://go.dev/doc/toolchain), compared with the checksum database as any module.

    Raises ClusterError where there is no Go, or it fetches none.
    """
    go = shutil.which("go")
    if not go:
        raise ClusterError(
            f"there is no `go` on PATH: install Go {GO_TOOLCHAIN}, or an older one, which fetches "
            "it (a package golang or golang-go)"
        )
    found = _output(go, "env", "GOVERSION").strip()
    if numbers(found) >= numbers(f"go{GO_TOOLCHAIN}"):
        return go
    return _fetched(go, found)


def numbers(version: str) -> tuple[int, int, int]:
    """Of a version as Go prints it; zeros for what is none, such as that of an unreleased Go."""
    said = _NUMBERS.match(version)
    return (int(said[1]), int(said[2]), int(said[3] or 0)) if said else (0, 0, 0)


def _fetched(go: str, found: str) -> str:
    system, architecture = _output(go, "env", "GOHOSTOS", "GOHOSTARCH").split()
    module = f"golang.org/toolchain@v0.0.1-go{GO_TOOLCHAIN}.{system}-{architecture}"
    log = Progress()
    what = f"{found} is too old: it fetches go{GO_TOOLCHAIN} (80 MB, once)"
    log(what)
    with repeating(lambda: log(f"... {what}")):
        printed = _output(go, "mod", "download", "-json", module)
    os.environ.pop("GOROOT", None)  # of the old one
    place = Path(json.loads(printed)["Dir"])
    # A module has no executable files: Go itself, when it changes to another version, does this.
    for file in (*place.glob("bin/*"), *place.glob("pkg/tool/*/*")):
        file.chmod(file.stat().st_mode | 0o111)
    return str(place / "bin" / "go")


def _output(*command: str) -> str:
    # Outside of every module, since go.mod of ours is what an old one fails at.
    environment = {**os.environ, "GO111MODULE": "on", "GOFLAGS": ""}
    done = subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ClusterError(
            f"Go {GO_TOOLCHAIN} or newer is needed, and {' '.join(command)} failed:\n"
            f"{(done.stdout + done.stderr).strip()[-1000:]}"
        )
    return done.stdout
