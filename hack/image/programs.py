"""Go programs for images and tests, built once from the modules in this repository."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.cluster import cache_base
from hack.localcluster.golang import go_command
from hack.localcluster.tools import content_key

RCLONE = Path(__file__).resolve().parents[1] / "services" / "rclone"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """`package` may be one of another module, which `module`'s go.mod names; `tags` by commas."""

    module: Path
    package: str = "."
    tags: str = ""

    @property
    def name(self) -> str:
        return self.module.name if self.package == "." else Path(self.package).name

    def settings(self) -> list[str]:
        """What says how it is built, beside the module's files."""
        return [word for word in (self.package.removeprefix("."), self.tags) if word]

    def files(self) -> list[Path]:
        """What it is made of."""
        suffixes = (".go", ".mod", ".sum")
        return sorted(path for path in self.module.iterdir() if path.suffix in suffixes)


def go_program(module: Path, package: str = ".", tags: str = "") -> Path:
    """The static program of a Go module, from the cache or built (rclone: 3 minutes, once).

    `package` and `tags` as in GoProgram.
    """
    return build(GoProgram(module, package, tags))


def build(wanted: GoProgram) -> Path:
    """The static program, from the cache or built. Raises ClusterError where there is no Go."""
    name, module = wanted.name, wanted.module
    cache = cache_base(os.environ) / module.name
    content = {path.name: path.read_bytes() for path in wanted.files()}
    place = cache / content_key(content, *wanted.settings())
    program = place / name
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program  # another checkout has built it meanwhile
        go = go_command()
        place.mkdir(parents=True, exist_ok=True)
        made = place / f".{name}.tmp"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        command += ["-tags", wanted.tags, "-o", str(made), wanted.package]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        subprocess.run(command, cwd=module, env=environment, check=True)
        made.rename(program)
    return program


def module_directory(module: Path, path: str) -> Path:
    """Where Go keeps the files of another module, of which `module`'s go.mod names the version.

    They are fetched where they are not there yet.
    """
    command = [go_command(), "mod", "download", "-json", path]
    done = subprocess.run(command, cwd=module, check=True, capture_output=True, text=True)
    return Path(json.loads(done.stdout)["Dir"])
