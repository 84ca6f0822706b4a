"""Readiness checks of a cluster, over its API server."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from typing import Any

from hack.localcluster.cluster import Cluster, ClusterError
from hack.localcluster.config import DNS_READY_PORT, PROXY_HEALTH_PORT


class Api:
    """The node's API server through the forwarded port, as the administrator."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self._name = cluster.name
        self._port = port
        self._context = ssl.create_default_context(cafile=cluster.pki("ca.crt"))
        self._context.load_cert_chain(cluster.pki("admin.crt"), cluster.pki("admin.key"))

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 without an answer within five seconds.

        Raises ClusterError where another cluster answers.

        """
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._context, timeout=5
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except ssl.SSLCertVerificationError as error:
            raise ClusterError(
                f"127.0.0.1:{self._port} is not the API server of {self._name}: {error}"
            ) from error
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def ready(self) -> bool:
        """/readyz is 200: the API server serves, and its default roles exist."""
        return self.get("/readyz")[0] == 200

    def node_ready(self) -> bool:
        status, body = self.get(f"/api/v1/nodes/{self._name}")
        if status != 200:
            return False
        node: dict[str, Any] = json.loads(body)
        conditions = node.get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def dns_ready(self) -> bool:
        """CoreDNS has synced with the cluster."""
        return self._on_node(DNS_READY_PORT, "ready")

    def proxy_ready(self) -> bool:
        """kube-proxy has written its rules."""
        return self._on_node(PROXY_HEALTH_PORT, "healthz")

    def pods_possible(self) -> bool:
        """The controllers work: the default service account exists, which pods run as."""
        return self.get("/api/v1/namespaces/default/serviceaccounts/default")[0] == 200

    def _on_node(self, port: int, path: str) -> bool:
        return self.get(f"/api/v1/nodes/http:{self._name}:{port}/proxy/{path}")[0] == 200

    def checks(self) -> tuple[tuple[str, str, Callable[[], bool]], ...]:
        """All checks that make a cluster ready: name, component to blame, check."""
        return (
            ("the API server", "kube-apiserver", self.ready),
            ("the node", "kubelet", self.node_ready),
            ("the controllers", "kube-controller-manager", self.pods_possible),
            ("kube-proxy", "kube-proxy", self.proxy_ready),
            ("DNS", "coredns", self.dns_ready),
        )
