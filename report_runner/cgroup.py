"""The CPU and memory limits of this process's cgroup, version 1 or 2."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _directories(controller: str, root: Path, membership: str) -> Iterator[Path]:
    """The cgroup directories that may limit this process: its own and its ancestors."""
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif controller in controllers.split(","):
            base = root / controller
        else:
            continue
        here = base / path.lstrip("/")
        while True:
            yield here
            if here == base or base not in here.parents:
                break
            here = here.parent


def _limits(controller: str, root: Path, membership: str | None) -> Iterator[Path]:
    if membership is None:
        membership = _read(Path("/proc/self/cgroup")) or ""
    yield from _directories(controller, root, membership)


def memory_limit(root: Path = _ROOT, membership: str | None = None) -> int | None:
    """Bytes of memory that this process's cgroup may use; None where it is not limited."""
    found: list[int] = []
    for directory in _limits("memory", root, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(directory / name)
            # Version 1 writes "no limit" as a number near 2^63.
            if text and text.isdigit() and int(text) < 1 << 60:
                found.append(int(text))
    return min(found, default=None)


def memory_used_percent() -> int | None:
    """Most memory at once, of the limit: this process and the largest that it has waited for.

    Not the cgroup's own peak, which counts cached pages of files, too, and is full without harm.
    None without a limit.
    """
    limit = memory_limit()
    if not limit:
        return None
    kilobytes = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(kilobytes * 1024 * 100 / limit)


def cpu_limit(root: Path = _ROOT, membership: str | None = None) -> float:
    """CPUs that this process may use, by affinity and by the cgroup's quota."""
    found = [float(len(os.sched_getaffinity(0)))]
    for directory in _limits("cpu", root, membership):
        text = _read(directory / "cpu.max")
        if text and not text.startswith("max"):
            quota, period = text.split()
            found.append(int(quota) / int(period))
        quota_text = _read(directory / "cpu.cfs_quota_us")
        period_text = _read(directory / "cpu.cfs_period_us")
        if quota_text and period_text and int(quota_text) > 0:
            found.append(int(quota_text) / int(period_text))
    return min(found)
