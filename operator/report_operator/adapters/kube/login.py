"""How to reach the API server: by the pod's service account, else by the kubeconfig.

The operator and the admin API share it, so it must not import kopf. It reads what kopf's
login_with_service_account and login_with_kubeconfig read: no exec plugin, no token file.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class LoginError(Exception):
    """There is no API server to talk to; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Address and credentials. The last four are what kopf's session takes as well."""

    server: str
    ca_path: str | None = None
    ca_data: str | None = field(default=None, repr=False)  # PEM, or base64 of it, as in kubeconfigs
    insecure: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    certificate_path: str | None = None
    certificate_data: str | None = field(default=None, repr=False)
    private_key_path: str | None = None
    private_key_data: str | None = field(default=None, repr=False)
    proxy_url: str | None = None
    default_namespace: str | None = None
    trust_env: bool = False
    priority: int = 0
    expiration: datetime | None = None

    def as_http_headers(self) -> dict[str, str]:
        """The Authorization header; none where a client certificate is the credential."""
        if self.username and self.password:
            return {"Authorization": aiohttp.encode_basic_auth(self.username, self.password)}
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def as_ssl_context(self) -> ssl.SSLContext:
        """Trusts the cluster's CA, and holds the client certificate where there is one."""
        context = ssl.create_default_context(
            cafile=self.ca_path, cadata=_pem(self.ca_data) if self.ca_data else None
        )
        if self.certificate_path or self.certificate_data:
            with tempfile.TemporaryDirectory() as folder:  # Python's ssl loads files only
                certificate = self.certificate_path or _file_of(self.certificate_data, folder)
                key = self.private_key_path or _file_of(self.private_key_data, folder)
                if certificate and key:
                    context.load_cert_chain(certificate, key)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def login() -> Credentials:
    """Raises LoginError where there is neither a service account nor a kubeconfig."""
    found = _from_service_account() or _from_kubeconfig()
    if found is None:
        raise LoginError("no API server: run in a pod, or set KUBECONFIG")
    return found


def _from_service_account() -> Credentials | None:
    token, ca, namespace = (SERVICE_ACCOUNT / name for name in ("token", "ca.crt", "namespace"))
    if not token.exists():
        return None
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    server = "https://kubernetes.default.svc"
    if host and port:  # not by its name: the API server is there while DNS is not
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Credentials(
        server=server,
        ca_path=str(ca) if ca.exists() else None,
        token=token.read_text().strip() or None,
        default_namespace=(namespace.read_text().strip() if namespace.exists() else "") or None,
    )


def _from_kubeconfig() -> Credentials | None:
    """The current context; of several files in KUBECONFIG the first that names a thing counts."""
    default = Path("~/.kube/config").expanduser()
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)
    paths = [Path(name.strip()).expanduser() for name in named if name.strip()]
    if not paths and default.exists():
        paths = [default]
    if not paths:
        return None
    files: list[dict[str, Any]] = [yaml.safe_load(path.read_text()) or {} for path in paths]
    current = next((f["current-context"] for f in files if f.get("current-context")), None)
    if current is None:
        raise LoginError("kubeconfig: current-context is not set (kubectl config use-context)")
    context = _find(files, "contexts", "context", current)
    cluster = _find(files, "clusters", "cluster", context.get("cluster"))
    user = _find(files, "users", "user", context.get("user"))
    if not cluster.get("server"):
        raise LoginError(f"kubeconfig: the cluster {context['cluster']} has no server")
    provider = (user.get("auth-provider") or {}).get("config") or {}
    return Credentials(
        server=cluster["server"],
        ca_path=cluster.get("certificate-authority"),
        ca_data=cluster.get("certificate-authority-data"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        certificate_path=user.get("client-certificate"),
        certificate_data=user.get("client-certificate-data"),
        private_key_path=user.get("client-key"),
        private_key_data=user.get("client-key-data"),
        username=user.get("username"),
        password=user.get("password"),
        token=user.get("token") or provider.get("access-token"),
        default_namespace=context.get("namespace"),
        proxy_url=cluster.get("proxy-url"),
    )


def _find(
    files: list[dict[str, Any]], section: str, content: str, name: str | None
) -> Mapping[str, Any]:
    for file in files:
        for item in file.get(section) or ():
            if item.get("name") == name:
                found: Mapping[str, Any] = item.get(content) or {}
                return found
    raise LoginError(f"kubeconfig: {section} has no entry of the name {name}")


def _file_of(data: str | None, directory: str) -> str | None:
    if data is None:
        return None
    handle, path = tempfile.mkstemp(dir=directory)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(_pem(data))
    return path


def _pem(data: str) -> str:
    return data if data.startswith("-----BEGIN ") else base64.b64decode(data).decode("ascii")
