"""Ingress, HTTPRoute and the authenticating proxy, rendered, and taken by a real API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.image.programs import module_directory
from hack.testbed.controlplane import ControlPlane
from tests.support.chart import (
    API,
    ROOT,
    Object,
    Values,
    config_of,
    helm_template,
    named,
    of_kind,
    render,
    with_namespace,
)

KUEUE = ROOT / "hack" / "kueue"  # its go.mod names the version of the Gateway API as well
GATEWAY_API = "sigs.k8s.io/gateway-api"
PATHS = {
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
}
PROXY: Values = {
    "enabled": True,
    "existingSecret": "report-proxy",
    "hosts": ["reports.example.com"],
}
BOTH: Values = {
    "network": True,
    "proxy": {**PROXY, "service": {"name": "oauth2-proxy"}},
    "tokenHosts": ["reports-api.example.com"],
    "ingress": {
        "enabled": True, "className": "public", "tlsSecret": "page", "annotations": {"a": "1"},
        "tokenAnnotations": {"b": "2"},
    },
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
    },
}  # fmt: skip
FROM = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "oauth2-proxy"}}}]
CLOSED = ["X-Report-Proxy-Secret", "X-Forwarded-User", "X-Forwarded-Groups"]


def backend(route: Object) -> Any:
    """Name and port, and the hosts that lead there."""
    spec = route["spec"]
    if route["kind"] == "Ingress":
        (service,) = {
            json.dumps(path["backend"]["service"])
            for rule in spec["rules"]
            for path in rule["http"]["paths"]
        }
        told = json.loads(service)
        return told["name"], told["port"]["number"], [rule["host"] for rule in spec["rules"]]
    ((reference,),) = [rule["backendRefs"] for rule in spec["rules"]]
    return reference["name"], reference["port"], spec["hostnames"]


def removed(route: Object) -> list[str]:
    (rule,) = route["spec"]["rules"]
    return [
        name for each in rule.get("filters", []) for name in each["requestHeaderModifier"]["remove"]
    ]


@pytest.mark.parametrize("kind", ["Ingress", "HTTPRoute"])
def test_people_go_by_the_proxy_and_tokens_to_the_api(kind: str) -> None:
    objects = render({"adminApi": BOTH})
    assert len(of_kind(objects, kind)) == 2
    page, token = named(objects, kind, API), named(objects, kind, f"{API}-token")
    assert backend(page) == ("oauth2-proxy", 4180, ["reports.example.com"])
    assert backend(token) == (API, 3000, ["reports-api.example.com"])
    (port,) = named(objects, "Service", API)["spec"]["ports"]
    assert port["port"] == 3000
    if kind == "Ingress":
        assert [each["metadata"]["annotations"] for each in (page, token)] == [
            {"a": "1"},
            {"b": "2"},
        ]
        assert page["spec"]["tls"] == [{"secretName": "page", "hosts": ["reports.example.com"]}]
        assert "tls" not in token["spec"]
    else:
        assert removed(page) == removed(token) == CLOSED


def test_a_gateway_that_asks_the_proxy_itself_leads_to_the_api_with_its_headers() -> None:
    route = {"enabled": True, "parentRefs": [{"name": "public"}]}
    objects = render({"adminApi": {"network": True, "proxy": PROXY, "httpRoute": route}})
    (page,) = of_kind(objects, "HTTPRoute")
    assert backend(page) == (API, 3000, ["reports.example.com"])
    assert removed(page) == []


def test_the_api_gets_the_secret_and_the_operator_does_not(tmp_path: Path) -> None:
    own = {**PROXY, "prefix": "sso:", "userHeader": "X-Auth-Request-Email", "groupsHeader": ""}
    objects = render({"adminApi": {"network": True, "proxy": own}})
    config = config_of(objects, tmp_path).api_proxy
    assert config is not None
    assert (config.prefix, config.user_header, config.groups_header, config.hosts) == (
        "sso:", "X-Auth-Request-Email", "", ["reports.example.com"]
    )  # fmt: skip
    for deployment in of_kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        if deployment["metadata"]["name"] == API:
            assert mounts["proxy"] == str(config.secret)
            (volume,) = [v for v in pod["volumes"] if v["name"] == "proxy"]
            assert volume["secret"]["secretName"] == "report-proxy"
        else:
            assert "report-proxy" not in json.dumps(pod)


def test_nothing_of_it_is_there_by_default(tmp_path: Path) -> None:
    objects = render({"adminApi": {"network": True}})
    assert not of_kind(objects, "Ingress", "HTTPRoute")
    assert config_of(objects, tmp_path).api_proxy is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"proxy": PROXY}, "adminApi.proxy.enabled needs adminApi.network"),
        ({"network": True, "proxy": {**PROXY, "existingSecret": ""}}, "openssl rand -hex 32"),
        ({"network": True, "proxy": {**PROXY, "hosts": []}}, "adminApi.proxy.hosts is empty"),
        ({"network": True, "proxy": {**PROXY, "prefix": ""}}, "/adminApi/proxy/prefix'"),
        ({"network": True, "proxy": {**PROXY, "prefix": "system:"}}, "/adminApi/proxy/prefix'"),
        ({"network": True, "proxy": {**PROXY, "userHeader": "X_User"}}, "/proxy/userHeader'"),
        ({"network": True, "ingress": {"enabled": True}}, "adminApi.ingress.enabled has no host"),
        (
            {**BOTH, "network": False, "proxy": {}},
            "adminApi.ingress.enabled needs adminApi.network",
        ),
        ({**BOTH, "tokenHosts": PROXY["hosts"]}, "both have reports.example.com"),
        (
            {"network": True, "tokenHosts": ["a.example.com"], "httpRoute": {"enabled": True}},
            "adminApi.httpRoute.parentRefs is empty",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:40],
)
def test_what_would_let_anybody_in_or_lead_nowhere_is_refused(values: Values, words: str) -> None:
    done = helm_template(with_namespace({"adminApi": values}))
    assert done.code != 0
    assert words in done.err


def test_a_real_api_server_takes_them(plane: ControlPlane) -> None:
    crds = module_directory(KUEUE, GATEWAY_API) / "config" / "crd" / "standard"
    plane.api.serve(
        yaml.safe_load((crds / "gateway.networking.k8s.io_httproutes.yaml").read_text())
    )
    values = {"adminApi": BOTH, "networkPolicy": {"apiFrom": FROM}}
    objects = render(values, namespace="default")
    taken = of_kind(objects, *PATHS)
    assert {found["kind"] for found in taken} == set(PATHS)
    for found in taken:
        if found["metadata"]["namespace"] == "default":
            path = PATHS[found["kind"]].format("default")
            answer = plane.api.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", found)
            assert answer.code == 201, (found["metadata"]["name"], answer.message)
    _, calls = named(objects, "NetworkPolicy", API)["spec"]["ingress"]
    assert calls == {"ports": [{"port": "api"}], "from": FROM}
