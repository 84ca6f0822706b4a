"""The command line as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    url: str

    def __call__(self, *arguments: str, way: tuple[str, ...] | None = None, **env: str) -> Done:
        program = shutil.which("report-scheduler")
        assert program, "report-scheduler is not on PATH: run the tests through `make test`"
        done = subprocess.run(
            [program, *arguments, *(("--url", self.url) if way is None else way)],
            env={**os.environ, **env}, text=True, capture_output=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)
