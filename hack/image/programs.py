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
    return sorted(path for path in module.iterdir() if path.suffix in (".go", ".mod", ".sum"))


def go_program(module: Path, package: str = ".") -> Path:
    """The static program of a Go module, from the cache or built (rclone: 3 minutes, once).

    `package` may be one of another module, which `module`'s go.mod names.
    """
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
        subprocess.run([*command, package], cwd=module, env=environment, check=True)
        made.rename(program)
    return program


def module_directory(module: Path, path: str) -> Path:
    """Where Go keeps the files of another module, of which `module`'s go.mod names the version."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", path]
    done = subprocess.run(command, cwd=module, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())
