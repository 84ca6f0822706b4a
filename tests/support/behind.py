"""The API process behind an authenticating proxy, and rights of whom the proxy names."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass

from hack.testbed.admin_api import SCHEDULER, Answer, ApiProcess
from hack.testbed.namespace import Namespace
from report_operator.api.v1alpha1.resource import GROUP, PLURAL

RBAC = "/apis/rbac.authorization.k8s.io/v1"
HOST = "reports.example.com"
SECRET = "0123456789abcdef" * 2
STATUS = f"{SCHEDULER}/status"
NAMED = ("X-Report-Proxy-Secret", SECRET)
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Behind:
    """Calls from another address than loopback, where it is not said otherwise."""

    namespace: Namespace
    process: ApiProcess

    def send(
        self, method: str, path: str, pairs: Pairs, body: str | None = None,
        *, host: str = HOST, address: str | None = None,
    ) -> Answer:  # fmt: skip
        connection = http.client.HTTPConnection(
            address or own_address(), self.process.api.port, timeout=30
        )
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in [("Host", host), ("Accept", "*/*"), *pairs]:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Type", "application/x-www-form-urlencoded")
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(None if body is None else body.encode())
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, "", answer.read().decode(), told)
        finally:
            connection.close()

    def by(self, user: str, method: str = "GET", path: str = STATUS, **more: str) -> Answer:
        """As the proxy sends it for a user; `groups`, `origin`, `cookie`, `body`."""
        pairs = [NAMED, ("X-Forwarded-User", user), ("X-Forwarded-Email", f"{user}@example.com")]
        for name, header in (
            ("groups", "X-Forwarded-Groups"), ("origin", "Origin"), ("cookie", "Cookie")
        ):  # fmt: skip
            if name in more:
                pairs.append((header, more[name]))
        return self.send(method, path, pairs, more.get("body"))


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.254", 9))
        address = str(probe.getsockname()[0])
    assert not address.startswith("127."), "this machine has no address but loopback"
    return address


def bind(namespace: Namespace, subject: str, verbs: list[str], *, files: bool = False) -> None:
    """Rights of a group that the proxy names, as docs/installing.md binds them."""
    name = f"{namespace.name}-{subject}".replace(":", "-")
    rules: list[dict[str, list[str]]] = [
        {"nonResourceURLs": ["/report-scheduler/*"], "verbs": verbs}
    ]
    if files:
        rules.append({"apiGroups": [GROUP], "resources": [f"{PLURAL}/files"], "verbs": ["get"]})
    metadata, group = {"name": name}, "rbac.authorization.k8s.io"
    namespace.call("POST", f"{RBAC}/clusterroles", {"metadata": metadata, "rules": rules})
    namespace.call(
        "POST",
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": metadata,
            "subjects": [{"kind": "Group", "name": subject, "apiGroup": group}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        },
    )
