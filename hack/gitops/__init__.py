"""What tools of GitOps make of an object: their own code, built from its Go modules (main.go)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hack.localcluster.cluster import cache_base
from hack.localcluster.tools import content_key

SOURCE = Path(__file__).resolve().parent
CACHE = cache_base(os.environ) / "gitops"

Body = Mapping[str, Any]


def gitops_program() -> Path:
    """The program, from the cache or built (2 minutes on two idle cores)."""
    sources = {p.name: p.read_bytes() for p in sorted(SOURCE.iterdir()) if p.name.startswith("go.")}
    sources |= {path.name: path.read_bytes() for path in sorted(SOURCE.glob("*.go"))}
    place = CACHE / content_key(sources)
    program = place / "gitops"
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program  # another checkout has built it meanwhile
        go = shutil.which("go")
        assert go, "it is built with Go, and there is no `go` on PATH"
        place.mkdir(parents=True, exist_ok=True)
        made = place / ".gitops.tmp"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", made]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        subprocess.run([*command, "."], cwd=SOURCE, env=environment, check=True)
        made.rename(program)
    return program


def ask(questions: Sequence[Body]) -> list[dict[str, Any]]:
    """One answer for each question, as main.go describes them."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(
        [gitops_program()], input=lines, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
