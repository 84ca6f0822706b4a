"""The programs of the node and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.cluster import Cluster
from hack.localcluster.network import API_PORT, NODE_IP, SERVICE_SUBNET


@dataclass(frozen=True, slots=True)
class Component:
    """A program with its arguments. `inside` is the node's network namespace."""

    name: str
    command: tuple[str, ...]
    inside: bool = True
    needs_api: bool = False  # started only once the API server answers


def components(cluster: Cluster, node: Path, port: int) -> tuple[Component, ...]:
    """All components in start order. `node` is the Go program, `port` the forwarded host port."""
    state = cluster.state
    program = str(node)

    def client(component: str) -> str:
        return f"--kubeconfig={cluster.component_kubeconfig(component)}"

    def with_api(name: str, *arguments: str) -> Component:
        return Component(name, (program, name, *arguments), needs_api=True)

    return (
        Component(
            "etcd",
            (
                program,
                "etcd",
                f"--data-dir={state / 'etcd'}",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--quota-backend-bytes=8589934592",
                "--log-level=warn",
                # Survives any crash of a process; after one of the machine all is made anew.
                "--unsafe-no-fsync",
            ),
        ),
        Component("kube-apiserver", (program, "kube-apiserver", *_api_server(cluster))),
        Component("containerd", ("containerd", f"--config={cluster.config('containerd.toml')}")),
        Component(
            "forwarder",
            (program, "forward", f"127.0.0.1:{port}", str(cluster.netns), f"{NODE_IP}:{API_PORT}"),
            inside=False,
        ),
        with_api(
            "kube-controller-manager",
            client("kube-controller-manager"),
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={cluster.pki('service-account.key')}",
            f"--root-ca-file={cluster.pki('ca.crt')}",
            f"--cluster-signing-cert-file={cluster.pki('ca.crt')}",
            f"--cluster-signing-key-file={cluster.pki('ca.key')}",
        ),
        with_api("kube-scheduler", client("kube-scheduler"), "--leader-elect=false"),
        with_api("kube-proxy", f"--config={cluster.config('kube-proxy.json')}"),
        with_api(
            "kubelet",
            client("kubelet"),
            f"--config={cluster.config('kubelet.json')}",
            f"--root-dir={state / 'kubelet'}",
            f"--cert-dir={state / 'kubelet/pki'}",
            f"--hostname-override={cluster.name}",
            f"--node-ip={NODE_IP}",
            # cAdvisor looks for containers' names there and not where the kubelet is told to.
            f"--containerd={cluster.containerd_socket}",
        ),
        with_api("coredns", "-conf", str(cluster.config("Corefile"))),
        with_api(
            "provisioner",
            client("provisioner"),
            f"--dir={state / 'volumes'}",
            f"--node={cluster.name}",
        ),
    )


def _api_server(cluster: Cluster) -> tuple[str, ...]:
    return (
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--etcd-servers=http://127.0.0.1:2379",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={cluster.pki('ca.crt')}",
        f"--tls-cert-file={cluster.pki('kube-apiserver.crt')}",
        f"--tls-private-key-file={cluster.pki('kube-apiserver.key')}",
        f"--cert-dir={cluster.state / 'pki'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={cluster.pki('service-account.key')}",
        f"--service-account-signing-key-file={cluster.pki('service-account.key')}",
        f"--kubelet-certificate-authority={cluster.pki('ca.crt')}",
        f"--kubelet-client-certificate={cluster.pki('kubelet-client.crt')}",
        f"--kubelet-client-key={cluster.pki('kubelet-client.key')}",
        "--kubelet-preferred-address-types=InternalIP",
    )
