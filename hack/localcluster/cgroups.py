"""The cluster's cgroup: in every hierarchy of version 1, or in the one of version 2."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.processes import identify, send
from hack.localcluster.progress import wait_until

_ROOT = Path("/sys/fs/cgroup")
_WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where cgroups are mounted: several directories, or with version 2 just one."""

    unified: bool
    mounts: tuple[Path, ...]


def parse_hierarchies(mountinfo: str) -> Hierarchies:
    """Hierarchies of /proc/self/mountinfo.

    A version 2 mount beside version 1 has no controllers, yet runc creates cgroups in it as well.

    """
    first: list[Path] = []
    second: list[Path] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind == "cgroup":
            first.append(Path(before.split()[4]))
        elif kind == "cgroup2":
            second.append(Path(before.split()[4]))
    return Hierarchies(False, (*first, *second)) if first else Hierarchies(True, tuple(second[:1]))


def hierarchies() -> Hierarchies:
    return parse_hierarchies(Path("/proc/self/mountinfo").read_text())


def create(name: str) -> Path:
    """Create the cluster's cgroups; the `cgroup.procs` file of the node's own programs."""
    found = hierarchies()
    for mount in found.mounts:
        own = mount / name
        own.mkdir(exist_ok=True)
        if found.unified:
            _delegate(mount)
            _delegate(own)
        for inherited in ("cpuset.cpus", "cpuset.mems"):  # version 1 begins with none at all
            value = own / inherited
            if not found.unified and value.exists() and not value.read_text().strip():
                value.write_text((mount / inherited).read_text())
    return _node_cgroup(found, name, make=True)


def _node_cgroup(found: Hierarchies, name: str, *, make: bool) -> Path:
    # One hierarchy is enough to find every process of the node by.
    mount = next((m for m in found.mounts if m.name == "pids"), found.mounts[0])
    node = mount / name / "node"
    if make:
        node.mkdir(exist_ok=True)
    return node / "cgroup.procs"


def _delegate(cgroup: Path) -> None:
    available = (cgroup / "cgroup.controllers").read_text().split()
    enabled = (cgroup / "cgroup.subtree_control").read_text().split()
    for controller in _WANTED:
        if controller in available and controller not in enabled:
            (cgroup / "cgroup.subtree_control").write_text(f"+{controller}")


def members(name: str) -> set[int]:
    """Ids of all processes below the cluster's cgroups: the node's programs, shims, pods."""
    found: set[int] = set()
    for mount in hierarchies().mounts:
        for procs in (mount / name).rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in procs.read_text().split())
            except OSError:
                continue  # the cgroup went away meanwhile
    return found


def kill_members(name: str, seconds: float = 20) -> set[int]:
    """KILL every process in the cluster's cgroups until none is left; those that did not die."""

    def empty() -> bool:
        left = {pid for pid in members(name) if identify(pid)}
        for pid in left:
            if process := identify(pid):
                send(process, signal.SIGKILL)
        return not left

    for mount in hierarchies().mounts:
        for state in (mount / name).rglob("freezer.state"):
            state.write_text("THAWED")  # a paused container dies only once it runs again
    wait_until(empty, seconds)
    return {pid for pid in members(name) if identify(pid)}


def remove(name: str) -> list[Path]:
    """Remove the cluster's cgroups, leaves first; those that could not be removed."""

    def leftovers() -> list[Path]:
        return [m / name for m in hierarchies().mounts if (m / name).is_dir()]

    def gone() -> bool:
        for top in leftovers():
            inner = sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True)
            for cgroup in [*inner, top]:
                try:
                    cgroup.rmdir()
                except OSError:
                    continue  # a dying process holds it for a moment: asked again
        return not leftovers()

    wait_until(gone, 10)
    return leftovers()
