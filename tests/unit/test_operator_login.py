"""Address and credentials of the API server, from a service account or a kubeconfig."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml

from report_operator.adapters.kube import login as login_module
from report_operator.adapters.kube.login import LoginError, login

CLUSTER = {"server": "https://10.0.0.1:6443", "insecure-skip-tls-verify": True}
USERS: dict[str, dict[str, Any]] = {
    "token": {"token": "t"},
    "basic": {"username": "kim", "password": "p"},
    "provider": {"auth-provider": {"config": {"access-token": "p"}}},
    "nobody": {},
}


def kubeconfig(path: Path, user: str = "token", **changes: Any) -> Path:
    """A kubeconfig whose current context is of this user."""
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": user, "namespace": "n"}}],
        "clusters": [{"name": "c", "cluster": CLUSTER}],
        "users": [{"name": name, "user": content} for name, content in USERS.items()],
        **changes,
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(autouse=True)
def outside_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("user", USERS)
def test_kubeconfig_is_read_as_kopf_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", user)))
    found, expected = login(), kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
    assert expected is not None
    assert found.as_http_headers() == expected.as_http_headers()
    assert (found.server, found.default_namespace) == (expected.server, expected.default_namespace)
    assert found.trust_env == expected.trust_env
    assert found.as_ssl_context().verify_mode is ssl.CERT_NONE


def test_ca_verifies_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = Path(ssl.get_default_verify_paths().openssl_cafile)
    pems = pem.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    first = pems[pems.index("-----BEGIN") :]
    for data in (first, base64.b64encode(first.encode()).decode()):
        cluster = {"server": "https://a", "certificate-authority-data": data}
        path = kubeconfig(tmp_path / "c", clusters=[{"name": "c", "cluster": cluster}])
        monkeypatch.setenv("KUBECONFIG", str(path))
        context = login().as_ssl_context()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert len(context.get_ca_certs()) == 1


def test_first_file_of_several_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kubeconfig(tmp_path / "1", "basic", users=[], clusters=[])
    second = kubeconfig(tmp_path / "2", "token")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    assert login().username == "kim"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"current-context": None}, "current-context is not set"),
        ({"contexts": []}, "contexts has no entry of the name here"),
        ({"clusters": []}, "clusters has no entry of the name c"),
        ({"users": []}, "users has no entry of the name token"),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "has no server"),
    ],
)
def test_incomplete_kubeconfig_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", **changes)))
    with pytest.raises(LoginError, match=said):
        login()


def test_without_service_account_and_kubeconfig_login_fails() -> None:
    with pytest.raises(LoginError, match="set KUBECONFIG"):
        login()


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("10.96.0.1", "https://10.96.0.1:443"),
        ("fd00::1", "https://[fd00::1]:443"),
        ("", "https://kubernetes.default.svc"),
    ],
)
def test_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("secret\n")
    (folder / "namespace").write_text("reports")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config")))
    found = login()
    assert (found.server, found.default_namespace) == (server, "reports")
    assert found.as_http_headers() == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(found)


def test_admin_api_starts_without_kopf() -> None:
    code = "import sys, admin_api.main; print([m for m in sys.modules if m.startswith('kopf')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
