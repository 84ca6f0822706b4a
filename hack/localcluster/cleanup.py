"""Removes a node completely, whatever state it is in."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from hack.localcluster import cgroups, processes
from hack.localcluster.cluster import Cluster, ClusterError
from hack.localcluster.mounts import unmount_below

_CNI_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")


def node(cluster: Cluster) -> None:
    """End its processes, unmount, remove its cgroups and files. The lock and the caches stay.

    Raises ClusterError that lists what could not be removed.

    """
    _end_processes(cluster)
    sockets = _shim_sockets(cluster.state)
    if left := unmount_below(cluster.state):
        # Going on would remove files through a mount, maybe somebody's own.
        raise ClusterError(f"still mounted: {', '.join(left[:5])}; unmount, then `down` again")
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for result in _CNI_RESULTS.glob(f"{cluster.context}-*"):
        result.unlink(missing_ok=True)
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(cluster.state):
            link.unlink(missing_ok=True)
    if stuck := cgroups.remove(cluster.context):
        raise ClusterError(f"cgroups do not go: {', '.join(map(str, stuck))}; try `down` again")
    if cluster.state.exists():
        shutil.rmtree(cluster.state)


def _end_processes(cluster: Cluster) -> None:
    for pid_file in (cluster.state / "pids").glob("*.json"):
        if process := processes.recorded(pid_file):
            processes.send(process, signal.SIGKILL)
    stubborn = cgroups.kill_members(cluster.context)
    for pid in _shims(cluster):  # had their cgroup been removed by hand
        if process := processes.identify(pid):
            processes.end(process, 0)
    if stubborn:
        raise ClusterError(f"processes do not die: {sorted(stubborn)}; try `down` again")


def _shims(cluster: Cluster) -> list[int]:
    address = str(cluster.containerd_socket).encode()
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if arguments[0].rpartition(b"/")[2] == b"containerd-shim-runc-v2" and address in arguments:
            found.append(int(directory.name))
    return found


def _shim_sockets(state: Path) -> list[Path]:
    """containerd keeps these outside its directories; each container's directory has the path."""
    found = []
    for file in (state / "containerd/run/io.containerd.runtime.v2.task").glob("*/*/address"):
        address = file.read_text().strip()
        if address.startswith("unix:///run/containerd/s/"):
            found.append(Path(address.removeprefix("unix://")))
    return found
