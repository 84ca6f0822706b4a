"""What keeps objects from being made in a namespace: quotas, webhooks, policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hack.testbed.namespace import CORE, Namespace
from hack.testbed.waiting import wait_for

DATA = Path(__file__).parents[1] / "data" / "refusals"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {"ResourceQuota": "resourcequotas", "LimitRange": "limitranges"}


def restrict(namespace: Namespace, name: str) -> None:
    """Apply tests/data/refusals/NAME.yaml, and wait until it is in force."""
    body = yaml.safe_load((DATA / f"{name}.yaml").read_text())
    plural, called = PLURALS[body["kind"]], body["metadata"]["name"]
    namespace.call("POST", namespace.path(CORE, plural), body)
    if body["kind"] == "ResourceQuota":
        wait_for(
            "the quota is in force",
            lambda: (
                (found := namespace.find(CORE, plural, called))
                and found.get("status", {}).get("hard")
            ),
        )


@contextmanager
def dead_webhook(namespace: Namespace, group: str, resource: str) -> Iterator[str]:
    """A webhook of the namespace that does not answer, for the objects of one kind."""
    name = f"dead.{namespace.name}.example.com"
    body: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": name,
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [
                    {
                        "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"],
                        "resources": [resource],
                    }
                ],
                "namespaceSelector": _only(namespace),
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
        ],
    }  # fmt: skip
    path = f"{ADMISSION}/validatingwebhookconfigurations"
    namespace.call("POST", path, body)
    try:
        yield name
    finally:
        namespace.call("DELETE", f"{path}/{name}")


@contextmanager
def policy(namespace: Namespace, group: str, resource: str) -> Iterator[str]:
    """A ValidatingAdmissionPolicy that refuses the objects of one kind in the namespace."""
    name = f"no-{resource}-{namespace.name}"
    paths = {
        f"{ADMISSION}/validatingadmissionpolicies": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"],
                        "resources": [resource],
                    }
                ]
            },
            "validations": [{"expression": "false", "message": "not on Sundays"}],
        },
        f"{ADMISSION}/validatingadmissionpolicybindings": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": _only(namespace)},
        },
    }  # fmt: skip
    for path, spec in paths.items():
        namespace.call("POST", path, {"metadata": {"name": name}, "spec": spec})
    try:
        yield name
    finally:
        for path in paths:
            namespace.call("DELETE", f"{path}/{name}")


def _only(namespace: Namespace) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
