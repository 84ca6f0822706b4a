"""Mounts below a directory."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def parse_mounts(mountinfo: str, below: Path) -> list[str]:
    """Mount points at or below a directory, newest first."""
    prefix = f"{below}/"
    points = [_unescape(line.split()[4]) for line in mountinfo.splitlines()]
    return [p for p in reversed(points) if p == str(below) or p.startswith(prefix)]


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), field)


def mounts_below(directory: Path) -> list[str]:
    return parse_mounts(Path("/proc/self/mountinfo").read_text(), directory)


def unmount_below(directory: Path) -> list[str]:
    """Unmount everything, lazily where busy; the mount points that are left."""
    for _ in range(5):  # one mount point may carry several mounts
        points = mounts_below(directory)
        if not points:
            return []
        for start in range(0, len(points), 200):
            subprocess.run(
                ["umount", "-l", *points[start : start + 200]], capture_output=True, check=False
            )
    return mounts_below(directory)
