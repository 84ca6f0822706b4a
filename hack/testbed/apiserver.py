"""Small client of a real API server: JSON over HTTPS with a kubeconfig's credentials."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import kopf

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVED_TIMEOUT = 60  # seconds until a CRD has to be served


@dataclass(frozen=True)
class Answer:
    code: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """The error message; empty for a success."""
        return "" if self.code < 400 else self.body.get("message", "")


def connection(kubeconfig: Path) -> kopf.ConnectionInfo:
    """Server and credentials of the kubeconfig's current context."""
    with patch.dict(os.environ, KUBECONFIG=str(kubeconfig)):
        info = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
    assert info is not None
    return info


class ApiServer:
    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        info = connection(kubeconfig)
        self.host = info.server
        self.headers = {"Accept": "application/json", **info.as_http_headers()}
        self.tls = info.as_ssl_context()

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Answer:
        """One request; an HTTP error is an answer, not an exception."""
        request = urllib.request.Request(  # noqa: S310
            self.host + path,
            method=method,
            headers={**self.headers, "Content-Type": content_type},
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=30) as answer:  # noqa: S310
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _json(error.read()))

    def serve(self, definition: dict[str, Any]) -> None:
        """Apply a CRD and wait until it is served; it stays."""
        path = f"{CRDS}/{definition['metadata']['name']}"
        apply = f"{path}?fieldManager=contract-tests&force=true"
        kind = "application/apply-patch+yaml"
        before = self.call("GET", path)
        would = self.call("PATCH", f"{apply}&dryRun=All", definition, kind)
        if before.code == 200 and before.body["spec"] == would.body.get("spec"):
            return  # its owner need not find that somebody else owns it as well
        answer = self.call("PATCH", apply, definition, kind)
        assert answer.code < 300, answer.message
        group, version = definition["spec"]["group"], definition["spec"]["versions"][0]["name"]
        want = _messages(definition)
        _until(
            "the CRD to be served",
            lambda: (
                want <= _messages(self.call("GET", f"/openapi/v3/apis/{group}/{version}").body)
                and self.call("GET", f"/apis/{group}/{version}").code == 200
            ),
        )


def _messages(node: Any) -> frozenset[str]:
    if isinstance(node, list):
        return frozenset().union(*map(_messages, node))
    if not isinstance(node, dict):
        return frozenset()
    found = {rule["message"] for rule in node.get("x-kubernetes-validations", ())}
    return frozenset(found).union(*map(_messages, node.values()))


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(raw)
    except ValueError:
        return {"message": raw.decode(errors="replace")}
    return body


def _until(what: str, holds: Callable[[], bool]) -> None:
    end = monotonic() + SERVED_TIMEOUT
    while not holds():
        if monotonic() > end:
            raise TimeoutError(f"waited {SERVED_TIMEOUT} s for {what}")
        sleep(0.1)
