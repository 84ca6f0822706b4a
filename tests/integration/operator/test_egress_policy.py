"""A URL that leads inside is refused before it is stored, where the URL itself tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import SCHEDULES, Namespace, report
from hack.testbed.waiting import wait_for
from tests.support.chart import named, render

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
INSIDE = [
    "http://localhost", "http://LOCALHOST:8080", "https://kubernetes", "http://a.data.svc:8080",
    "https://a.data.svc.cluster.local", "http://metadata.google.internal", "http://127.0.0.1:80",
    "http://10.96.0.1", "http://172.16.0.1", "http://192.168.1.1", "http://100.64.0.1",
    "http://169.254.169.254", "http://0.0.0.0", "http://[::1]:80", "http://[::ffff:127.0.0.1]",
    "http://[fd00:ec2::254]", "http://[fe80::1]", "http://168.63.129.16", "http://224.0.0.1",
]  # fmt: skip
OUTSIDE = [
    "https://api.example.com", "https://api.example.com:8443", "http://93.184.216.34",
    "http://11.0.0.1", "http://172.32.0.1", "http://100.128.0.1", "http://[2606:4700::1111]:80",
    "https://svc.example.com", "https://local.example.com",
]  # fmt: skip


def http(url: str) -> dict[str, Any]:
    return {"http": {"url": url + "/x"}}


def token(url: str) -> dict[str, Any]:
    oauth2 = {"secretRef": {"name": "report-a"}, "tokenUrl": url + "/x"}
    return {"http": {"url": "https://api.example.com/", "auth": {"oauth2": oauth2}}}


def stored_object(url: str) -> dict[str, Any]:
    keys = {"bucket": "a", "key": "a.csv", "format": "csv", "secretRef": {"name": "report-a"}}
    return {"object": {"endpoint": url, **keys}}


def place(kind: str, url: str) -> dict[str, Any]:
    """A way out of a run: the spec's delivery."""
    where = {"bucket": "abc", "endpoint": url, "secretRef": {"name": "report-a"}}
    found = where if kind == "s3" else {"url": url + "/x"}
    return {"upload": {"to": [{"name": "portal", kind: found}]}}


def refusal(
    namespace: Namespace, source: dict[str, Any], delivery: dict[str, Any] | None = None
) -> str:
    """What the API server says; nothing where it would store it."""
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {"name": "inside"},
        "spec": {
            "reportType": "inside",
            "schedule": "0 6 1 1 *",
            "report": report(sources=[{"name": "facts", **source}]),
            "delivery": delivery or {},
        },
    }
    path = namespace.path(SCHEDULES, "reportschedules")
    answer = namespace.plane.api.call("POST", f"{path}?dryRun=All", body)
    return "" if answer.code == 201 else answer.message


@contextmanager
def policy(plane: ControlPlane, namespace: Namespace, *allow: str) -> Iterator[None]:
    name = "egress-adaf-report-scheduler-egress"
    values = {"config": {"runner": {"egress": {"allow": list(allow)}}}}
    objects = render(values, release="egress")
    probe = http("http://127.0.0.1")
    for kind, plural in KINDS.items():
        made = plane.api.call("POST", f"{ADMISSION}/{plural}", named(objects, kind, name))
        assert made.code == 201, made.message
    wait_for("it is in force", lambda: refusal(namespace, probe), 60)
    try:
        yield
    finally:
        for plural in KINDS.values():
            plane.api.call("DELETE", f"{ADMISSION}/{plural}/{name}")
        wait_for("it is gone", lambda: not refusal(namespace, probe), 60)


def test_what_a_url_tells_is_refused_at_once(plane: ControlPlane, namespace: Namespace) -> None:
    with policy(plane, namespace):
        for make in (http, token, stored_object):
            for url in INSIDE:
                assert "config.runner.egress.allow" in refusal(namespace, make(url)), url
            for url in OUTSIDE:
                assert refusal(namespace, make(url)) == "", url


def test_names_that_are_allowed(plane: ControlPlane, namespace: Namespace) -> None:
    with policy(plane, namespace, "a.data.svc:8080", "*.tools.svc"):
        for url in ("http://a.data.svc:8080", "http://b.tools.svc", "http://b.c.tools.svc:99"):
            assert refusal(namespace, http(url)) == "", url
        for url in ("http://a.data.svc", "http://a.data.svc:80801", "http://tools.svc",
                    "http://aXdata.svc:8080"):  # fmt: skip
            assert refusal(namespace, http(url)), url


@pytest.mark.parametrize("network", ["10.0.0.0/8", "127.0.0.1:80", "[fd00::/8]:443", "fd00::1"])
def test_with_a_network_the_operator_tells(network: str) -> None:
    values = {"config": {"runner": {"egress": {"allow": [network]}}}}
    names = {found["metadata"]["name"] for found in render(values, release="egress")}
    assert "egress-adaf-report-scheduler-egress" not in names


def test_an_upload_inside_is_refused(plane: ControlPlane, namespace: Namespace) -> None:
    rows = {"inline": {"rows": [{"a": 1}]}}
    with policy(plane, namespace):
        for kind in ("s3", "webdav", "httpPut"):
            for url in ("http://127.0.0.1:80", "http://a.data.svc:8080"):
                told = refusal(namespace, rows, place(kind, url))
                assert "spec.delivery.upload.to[]: runs may not connect" in told
                assert f"{kind}." in told
            assert refusal(namespace, rows, place(kind, "https://files.example.com")) == ""
