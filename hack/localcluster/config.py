"""Configuration files of the node's programs: pure text from plain data. JSON is YAML as well."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from hack.localcluster.cluster import Cluster
from hack.localcluster.network import (
    API_PORT,
    DNS_SERVICE_IP,
    METADATA_IP,
    NODE_IP,
    POD_SUBNET,
    SERVICE_SUBNET,
)

PAUSE_IMAGE = "localhost/adaf-pause:1"
DNS_PORT = 53
DNS_READY_PORT = 8181
PROXY_HEALTH_PORT = 10256


@dataclass(frozen=True, slots=True)
class Host:
    """Settings that differ between machines."""

    restrict_oom_score: bool  # CAP_SYS_RESOURCE is missing
    snapshotter: str  # overlayfs, or native where an overlay cannot be mounted


def containerd(cluster: Cluster, host: Host) -> str:
    """config.toml; strings in TOML are written as in JSON."""
    state = cluster.state / "containerd"
    text = json.dumps
    return f"""version = 2
root = {text(str(state / "root"))}
state = {text(str(state / "run"))}
# The first would make a directory under /opt, the others want devices of their own.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = {text(str(cluster.containerd_socket))}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {text(PAUSE_IMAGE)}
restrict_oom_score_adj = {text(host.restrict_oom_score)}
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = {text(str(cluster.config("cni")))}

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = {text(host.snapshotter)}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = {text(str(state / "runc"))}
"""


def cni(cluster: Cluster) -> str:
    """The pods' network: each pod has its own link to the node, everything else is routed.

    Services then work between pods of one node without the bridge-netfilter kernel module.

    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_SUBNET}]],
        "dataDir": str(cluster.state / "addresses"),
        # No default route: what is not in the cluster is refused at once. The way to other
        # pods the plugin adds itself.
        "routes": [{"dst": to} for to in (SERVICE_SUBNET, f"{NODE_IP}/32", f"{METADATA_IP}/32")],
    }
    return _json(
        {
            "cniVersion": "0.4.0",
            "name": cluster.context,
            "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}],
        }
    )


def kubelet(cluster: Cluster) -> str:
    state = cluster.state
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_IP,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": cluster.pki("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": cluster.pki("kubelet.crt"),
            "tlsPrivateKeyFile": cluster.pki("kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cluster.context}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDomain": "cluster.local",
            "clusterDNS": [DNS_SERVICE_IP],
            "resolvConf": str(cluster.config("resolv.conf")),
            "podLogsDir": str(state / "pod-logs"),
            "volumePluginDir": str(state / "volume-plugins"),
            "staticPodPath": "",
            "maxPods": 250,
            "makeIPTablesUtilChains": False,
            # The disk is shared with others: it says little about this node's own pods.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
                "imagefs.inodesFree": "1%",
            },
            # Images were loaded by hand; what is collected could not be pulled again.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
        }
    )


def kube_proxy(cluster: Cluster) -> str:
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "bindAddress": NODE_IP,
            "healthzBindAddress": f"{NODE_IP}:{PROXY_HEALTH_PORT}",
            "clusterCIDR": POD_SUBNET,
            "hostnameOverride": cluster.name,
            # Sizes of the whole machine's connection table, which is not this node's to set.
            "conntrack": {"maxPerCore": 0, "min": 0},
            "clientConnection": {"kubeconfig": str(cluster.component_kubeconfig("kube-proxy"))},
        }
    )


def corefile(cluster: Cluster) -> str:
    """CoreDNS: the cluster's names; any other name gets NXDOMAIN."""
    return f"""cluster.local:{DNS_PORT} in-addr.arpa:{DNS_PORT} {{
    bind {NODE_IP}
    errors
    ready {NODE_IP}:{DNS_READY_PORT}
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {cluster.component_kubeconfig("coredns")}
        pods verified
        ttl 5
    }}
}}
.:{DNS_PORT} {{
    bind {NODE_IP}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def component_kubeconfig(cluster: Cluster, certificate: str) -> str:
    """Kubeconfig of a node program, with the client certificate of that name."""
    return _kubeconfig(
        cluster,
        f"https://{NODE_IP}:{API_PORT}",
        {"certificate-authority": cluster.pki("ca.crt")},
        {
            "client-certificate": cluster.pki(f"{certificate}.crt"),
            "client-key": cluster.pki(f"{certificate}.key"),
        },
    )


def admin_kubeconfig(cluster: Cluster, port: int, ca: bytes, certificate: bytes, key: bytes) -> str:
    """Kubeconfig for people: self-contained, so it may be copied."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return _kubeconfig(
        cluster,
        f"https://127.0.0.1:{port}",
        {"certificate-authority-data": encoded(ca)},
        {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)},
    )


def _kubeconfig(
    cluster: Cluster, server: str, authority: dict[str, str], user: dict[str, str]
) -> str:
    name = cluster.context
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, **authority}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, indent=2) + "\n"
