"""The node's network namespace, which has no route out of the machine."""

from __future__ import annotations

import subprocess

from hack.localcluster.cluster import Cluster, ClusterError

# Every cluster has these addresses in a namespace of its own, so clusters never meet.
NODE_IP = "10.63.0.1"
NODE_NETWORK = "10.63.0.1/24"
POD_SUBNET = "10.244.0.0/22"
SERVICE_SUBNET = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
# Pods have a route to it, as in a cloud; nothing has the address.
METADATA_IP = "169.254.169.254"

# A bridge without ports carries the node's address: a dummy device is not in every kernel.
# A Service's address needs some route before it is translated; all the world's are refused at once.
_SET_UP = f"""
set -e
ip link set lo up
ip link show node0 >/dev/null 2>&1 || ip link add node0 type bridge
ip address replace {NODE_NETWORK} dev node0
ip link set node0 up
ip route replace {SERVICE_SUBNET} dev node0
ip route replace unreachable default
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


def create(cluster: Cluster) -> None:
    """Create the namespace, held by a mount on a file, and its one device.

    Raises ClusterError where the kernel refuses.

    """
    cluster.netns.touch()
    for command in (
        ["unshare", f"--net={cluster.netns}", "true"],
        ["nsenter", f"--net={cluster.netns}", "--", "sh", "-c", _SET_UP],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(
                f"no network namespace for the node: {done.stderr.strip()}; needed are root and a "
                "kernel with network namespaces and bridges (modprobe bridge)"
            )
