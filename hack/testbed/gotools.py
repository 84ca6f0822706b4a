"""Programs that tests build from Go modules, kept by what they are built from."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from hack.localcluster.cluster import cache_base
from hack.localcluster.tools import content_key


def go_program(source: Path, name: str, package: str = ".") -> Path:
    """The program of a package, from the cache or built by the go.mod in `source`.

    Raises FileNotFoundError where there is no `go`, CalledProcessError where the build fails.
    """
    sources = {path.name: path.read_bytes() for path in sorted(source.iterdir())}
    cache = cache_base(os.environ) / name
    place = cache / content_key(sources)
    program = place / name
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program  # another checkout has built it meanwhile
        go = shutil.which("go")
        if go is None:
            raise FileNotFoundError(f"{name} is built with Go, and there is no `go` on PATH")
        place.mkdir(parents=True, exist_ok=True)
        made = place / f".{name}.tmp"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", made]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        subprocess.run([*command, package], cwd=source, env=environment, check=True)
        made.rename(program)
    return program


def module_directory(source: Path, module: str) -> Path:
    """Where Go keeps the files of a module that the go.mod in `source` names."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())
