"""Programs of this project's environment, whatever PATH says."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.localcluster.cluster import cache_base
from hack.localcluster.tools import content_key


def project_program(name: str) -> str:
    """Path of a program that was installed together with this checkout.

    Raises FileNotFoundError where the running Python is not that of the environment.
    """
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        raise FileNotFoundError(f"{found}: run `make venv`, and use .venv/bin/python")
    return str(found)


def go_program(source: Path, name: str) -> Path:
    """The program of a Go module in this checkout, from the cache or built."""
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
        assert go, f"{name} is built with Go, and there is no `go` on PATH"
        place.mkdir(parents=True, exist_ok=True)
        made = place / f".{name}.tmp"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", made]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        subprocess.run([*command, "."], cwd=source, env=environment, check=True)
        made.rename(program)
    return program
