"""Whose identity headers the admin API believes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from admin_api.auth.access import AccessMiddleware
from admin_api.auth.proxy import (
    GROUPS,
    USER_CHARACTERS,
    Proxied,
    Proxy,
    ProxySecretError,
    is_among,
    proxied_refusal,
)
from admin_api.auth.tokens import Denied, User
from admin_api.main import main
from report_operator.config import EXIT_CONFIG, ApiProxyConfig
from tests.support.asgi import reply_of

SECRET = "s" * 20 + "0123456789ab"
HOST = "reports.example.com"
NAMED = ("x-report-proxy-secret", SECRET)
KIM = ("x-forwarded-user", "kim")
Pair = tuple[str, str]


@pytest.fixture
def proxy(tmp_path: Path) -> Proxy:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return Proxy.of(ApiProxyConfig(secret=tmp_path, hosts=[HOST]))


def judge(proxy: Proxy, *pairs: Pair) -> Any:
    return proxy.judge([(name.encode("latin-1"), value.encode()) for name, value in pairs])


def test_user_and_groups_are_prefixed(proxy: Proxy) -> None:
    found = judge(
        proxy, NAMED, ("x-forwarded-user", " system:admin "),
        ("x-forwarded-groups", "b, system:masters,,a,b"), ("x-forwarded-email", "kim@example.com"),
    )  # fmt: skip
    groups = json.dumps(["oidc:a", "oidc:b", "oidc:system:masters"])
    assert found == Proxied(User("oidc:system:admin", groups=groups))
    assert judge(proxy, NAMED, ("x-forwarded-user", "Zoë")) == Proxied(User("oidc:Zoë"))


def test_without_headers_of_a_proxy_nothing_is_decided(proxy: Proxy) -> None:
    assert judge(proxy) is None
    others = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https"), ("x-on-call", "kim")]
    assert judge(proxy, *others, ("authorization", "Bearer x")) is None


def test_without_a_user_the_secret_says_only_that_the_proxy_let_it_through(proxy: Proxy) -> None:
    assert judge(proxy, NAMED) == judge(proxy, NAMED, ("x-forwarded-user", " ")) == Proxied(None)
    assert judge(proxy, NAMED, ("authorization", "Bearer x")) == Proxied(None)


SPOOFED: list[tuple[int, list[Pair]]] = [
    (403, [KIM]),
    (403, [("x-forwarded-groups", "on-call")]),
    *((403, [(f"{family}-{what}", "kim")])
      for family in ("x-forwarded", "x-auth-request")
      for what in ("user", "email", "groups", "preferred-username")),
    (403, [KIM, ("authorization", "Bearer x")]),
    (403, [KIM, ("x-report-proxy-secret", "")]),
    (403, [KIM, ("x-report-proxy-secret", SECRET[:-1])]),
    (403, [KIM, ("x-report-proxy-secret", SECRET + "0")]),
    (403, [KIM, ("x-report-proxy-secret", SECRET.upper())]),
    (403, [("x-report-proxy-secret", "wrong"), ("authorization", "Bearer x")]),
    (400, [NAMED, NAMED, KIM]),
    (400, [("x-report-proxy-secret", "wrong"), NAMED, KIM]),
    (400, [NAMED, KIM, ("x-forwarded-user", "eve")]),
    (400, [NAMED, KIM, ("X-Forwarded-User", "eve")]),
    (400, [NAMED, KIM, ("x-forwarded-groups", "a"), ("x-forwarded-groups", "on-call")]),
    (400, [NAMED, ("x_forwarded_user", "kim")]),
    (400, [NAMED, KIM, ("x_forwarded-user", "eve")]),
    (400, [NAMED, KIM, ("X-Forwarded_Groups", "on-call")]),
    (400, [("x_report_proxy_secret", SECRET), KIM]),
    (400, [NAMED, KIM, ("authorization", "Bearer x")]),
    (400, [NAMED, KIM, ("authorization", "bearer x")]),
    (400, [NAMED, ("x-forwarded-user", "kim\x1b")]),
    (400, [NAMED, ("x-forwarded-user", "k" * (USER_CHARACTERS + 1))]),
    (400, [NAMED, KIM, ("x-forwarded-groups", ",".join(map(str, range(GROUPS + 1))))]),
    (401, [NAMED, ("x-forwarded-groups", "on-call")]),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers"), SPOOFED)
def test_spoofed_headers_are_refused(proxy: Proxy, status: int, headers: list[Pair]) -> None:
    found = judge(proxy, *headers)
    assert isinstance(found, tuple), found
    assert found[0] == status, found
    assert SECRET not in found[1]


def test_a_name_that_is_no_utf8_is_refused(proxy: Proxy) -> None:
    raw = [(b"x-report-proxy-secret", SECRET.encode()), (b"x-forwarded-user", b"k\xff")]
    found = proxy.judge(raw)
    assert isinstance(found, tuple)
    assert found[0] == 400


def test_a_secret_is_changed_without_a_gap(proxy: Proxy, tmp_path: Path) -> None:
    new = "n" * 40
    (tmp_path / "secret").write_text(f"{new}\n\n{SECRET}\n")
    assert (
        judge(proxy, NAMED, KIM) == judge(proxy, (NAMED[0], new), KIM) == Proxied(User("oidc:kim"))
    )
    assert judge(proxy, (NAMED[0], f"{new}\n{SECRET}"), KIM)[0] == 403
    (tmp_path / "secret").write_text(new)
    assert judge(proxy, NAMED, KIM)[0] == 403


@pytest.mark.parametrize("text", ["", "\n \n", "short", f"{SECRET}\nshort", None])
def test_without_a_good_secret_nobody_is_believed(
    proxy: Proxy, tmp_path: Path, text: str | None
) -> None:
    if text is None:
        (tmp_path / "secret").unlink()
    else:
        (tmp_path / "secret").write_text(text)
    for given in (SECRET, "", "short"):
        assert judge(proxy, (NAMED[0], given), KIM)[0] == 503
    with pytest.raises(ProxySecretError, match="secret"):
        proxy.form_key()


def test_comparison_of_secrets() -> None:
    assert is_among(b"a", [b"b", b"a"])
    assert not is_among(b"", [b"a"])
    assert not is_among(b"a", [])


BY_A_PAGE = {"host": HOST, "origin": f"https://{HOST}"}


@pytest.mark.parametrize(
    ("status", "method", "headers"),
    [
        (None, "POST", BY_A_PAGE),
        (None, "POST", {"host": f"{HOST.upper()}:443", "origin": f"https://{HOST}:443"}),
        (None, "GET", {"host": HOST}),
        (403, "POST", {"host": HOST}),
        (403, "DELETE", {"host": HOST}),
        (403, "POST", {**BY_A_PAGE, "origin": "null"}),
        (403, "POST", {**BY_A_PAGE, "origin": f"http://{HOST}"}),
        (403, "POST", {**BY_A_PAGE, "origin": f"https://{HOST}.evil.example"}),
        (403, "POST", {**BY_A_PAGE, "origin": "https://evil.example"}),
        (403, "GET", {**BY_A_PAGE, "origin": "https://evil.example"}),
        (421, "GET", {}),
        (421, "GET", {"host": "localhost:3000"}),
        (421, "POST", {"host": "evil.example", "origin": "https://evil.example"}),
        (421, "GET", {"host": f"{HOST}:8443"}),
        (421, "GET", {"host": f"{HOST}:443:443"}),
    ],
)
def test_requests_of_other_sites_are_refused(
    status: int | None, method: str, headers: dict[str, str]
) -> None:
    found = proxied_refusal(method, headers, frozenset({HOST}), is_user=True)
    assert (found and found[0]) == status, found


def test_a_token_needs_no_origin_but_the_host() -> None:
    hosts = frozenset({HOST})
    assert proxied_refusal("POST", {"host": HOST}, hosts, is_user=False) is None
    refused = proxied_refusal("POST", {"host": "evil.example"}, hosts, is_user=False)
    assert refused is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prefix", ""), ("prefix", "oidc"), ("prefix", "system:"), ("prefix", "system/"),
        ("hosts", []), ("hosts", ["https://reports.example.com"]), ("hosts", ["*.example.com"]),
        ("userHeader", "Authorization"), ("userHeader", "X_Forwarded_User"), ("userHeader", ""),
        ("userHeader", "X-On-Call"), ("groupsHeader", "x-forwarded-user"),
        ("secretHeader", "X-Forwarded-User"), ("secretHeader", ""), ("secret", None),
    ],
)  # fmt: skip
def test_configurations_that_would_let_others_in_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        ApiProxyConfig.model_validate({"secret": "/x", "hosts": [HOST], field: value})
    assert raised.value.errors()


async def test_unless_configured_headers_of_a_proxy_mean_nothing() -> None:
    async def app(*_: Any) -> None:
        raise AssertionError("it is not asked")

    headers = {"x-forwarded-user": "kim", "x-report-proxy-secret": SECRET, "host": HOST}
    tokens: Any = Denying()
    reply = await reply_of(AccessMiddleware(app, tokens), "GET", "/", client="10.0.0.7", **headers)
    assert (reply.status, tokens.asked) == (401, [None])


class Denying:
    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def authenticate(self, authorization: str | None, *_: str) -> Any:
        self.asked.append(authorization)
        return Denied(401, "no")


@pytest.mark.parametrize(
    ("secret", "flags", "said"),
    [
        (None, ["--network"], "secret: No such file"),
        ("short", ["--network"], "needs at least 32 characters"),
        (SECRET, [], "apiProxy: needs --network"),
    ],
)
def test_without_a_good_secret_the_api_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], secret: str | None, flags: list[str],
    said: str,
) -> None:  # fmt: skip
    if secret is not None:
        (tmp_path / "secret").write_text(secret)
    config = tmp_path / "config.yaml"
    proxy = {"secret": str(tmp_path), "hosts": [HOST]}
    config.write_text(
        json.dumps({"runner": {"image": "a:1"}, "watchNamespaces": ["a"], "apiProxy": proxy})
    )
    assert main([f"--config={config}", *flags]) == EXIT_CONFIG
    assert said in capsys.readouterr().err
