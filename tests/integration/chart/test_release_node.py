"""The installed release on the node: its own test, and its image as a user that nobody named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hack.testbed.waiting import wait_for
from tests.support.chart import NAME, RELEASE, run

Kubectl = Callable[..., str]
# Both ask for a name of the user: kopf in its identity, asyncssh for an upload.
ASKS = "import getpass, asyncssh; from kopf._core.engines import peering; print(getpass.getuser())"


def test_helm_test_makes_a_report_and_leaves_nothing(kubectl: Kubectl) -> None:
    done = run("helm", "test", RELEASE, "--namespace", RELEASE, "--logs", "--timeout", "5m")
    assert done.code == 0, done.out + done.err
    assert "Phase:          Succeeded" in done.out
    assert f"{RELEASE}-helm-test" in done.out
    kinds = "pods,serviceaccounts,configmaps,roles,rolebindings,reportschedules"
    for namespace in (RELEASE, "reports"):
        left = kubectl("-n", namespace, "get", kinds, "-o", "name").splitlines()
        assert [name for name in left if name.endswith(("-helm-test", f"{NAME}-test"))] == []


@pytest.mark.parametrize("group", [0, 1000730000])
def test_the_image_works_as_a_user_without_a_name(
    kubectl: Kubectl, namespace: str, group: int
) -> None:
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    image = kubectl("-n", RELEASE, "get", "deployment", NAME, "-o", path)
    name = f"anybody-{group}"
    container = {
        "name": "any",
        "image": image,
        "command": ["python3", "-c", ASKS],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000730000,
                "runAsGroup": group,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }
    kubectl("-n", namespace, "apply", "-f", "-", text=json.dumps(pod))
    phase = ["-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}"]
    ended = wait_for("it has ended", lambda: kubectl(*phase) in ("Succeeded", "Failed"), 120)
    assert ended
    log = kubectl("-n", namespace, "logs", name)
    assert kubectl(*phase) == "Succeeded", log
    assert log.strip() == "report-scheduler"
