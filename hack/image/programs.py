"""Go programs for images and tests, built once from the modules in this repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from hack.localcluster.cluster import cache_base
from hack.localcluster.tools import content_key

RCLONE = Path(__file__).resolve().parents[1] / "services" / "rclone"


def module_files(module: Path) -> list[Path]:
    """What the program is made of."""
    return sorted(path for path in module.iterdir() if path.is_file())


def go_program(module: Path) -> Path:
    """The static program of a Go module, from the cache or built (rclone: 3 minutes, once)."""
    name = module.name
    cache = cache_base(os.environ) / name
    place = cache / content_key({path.name: path.read_bytes() for path in module_files(module)})
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
        subprocess.run([*command, "."], cwd=module, env=environment, check=True)
        made.rename(program)
    return program
