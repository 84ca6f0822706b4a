"""Many vectors in one child process: what a bomb does to it stays there, and can be measured.

`python -m tests.attacks.batch MODULE FUNCTION` reads a JSON list of cases from standard input, and
writes one JSON line for each: what `FUNCTION(case)` says, how long it took, and the most memory
that this process has had so far.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """What a driver said of one case; `said` is None where its process was killed by it."""

    said: Any
    seconds: float
    peak: int  # bytes


def run_batch(
    module: str, function: str, cases: Sequence[Any], seconds: float = 240, **environment: str
) -> list[Done]:
    """One result for each case; a case that kills the process costs the others nothing."""
    done: list[Done] = []
    while len(done) < len(cases):
        before = len(done)
        done += _life(module, function, cases[before:], seconds, environment)
        if len(done) < len(cases):
            done.append(Done(None, 0.0, 0))
    return done


def _life(
    module: str, function: str, cases: Sequence[Any], seconds: float, environment: dict[str, str]
) -> list[Done]:
    command = [sys.executable, "-m", "tests.attacks.batch", module, function]
    text = json.dumps(cases)
    try:
        ended = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=seconds, check=False,
            cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"} | environment,
        )  # fmt: skip
        out, err = ended.stdout, ended.stderr
    except subprocess.TimeoutExpired as error:
        out, err = (error.stdout or b"").decode(), "it took too long"
    lines = out.splitlines()
    assert lines or len(cases) == 1, f"{module}.{function} did nothing: {err[-3000:]}"
    return [Done(*json.loads(line)) for line in lines if line.endswith("]")]


def main(module: str, function: str) -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the driven code prints is no answer
    driver = getattr(importlib.import_module(module), function)
    for case in json.load(sys.stdin):
        before = time.monotonic()
        with contextlib.redirect_stdout(sys.stderr):
            said = driver(case)
        # Not ru_maxrss: of a process that was started by a large one it is that one's.
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        out.write(json.dumps([said, round(time.monotonic() - before, 3), peak]) + "\n")
        out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
