"""Docker, as far as a local cluster needs it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

_SECONDS = 20.0


def docker_answers() -> bool:
    """Whether there is an engine that this user may use."""
    if not shutil.which("docker"):
        return False
    try:
        done = subprocess.run(
            ["docker", "info"], capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def has_image(name: str) -> bool:
    command = ["docker", "image", "inspect", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def megabytes(images: Sequence[str]) -> int:
    """Of all these images together, shared layers counted each time."""
    command = ["docker", "image", "inspect", "--format={{.Size}}", *images]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(map(int, done.stdout.split())) // 1_000_000
