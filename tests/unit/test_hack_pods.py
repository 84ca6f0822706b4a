"""What `make up` and `make forward` make of the pods that kubectl lists."""

from __future__ import annotations

from typing import Any

import pytest

from hack.diagnostics import not_ready
from hack.forward import ready_pod


def pod(name: str, created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": created}, "status": status}


def listed(*pods: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(pods)}


READY = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]
NOT_READY = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]


def test_ready_pod_is_the_newest_that_is_not_deleted() -> None:
    old, new = pod("old", conditions=READY), pod("new", "2026-01-02T00:00:00Z", conditions=READY)
    going = pod("going", "2026-01-03T00:00:00Z", conditions=READY)
    going["metadata"]["deletionTimestamp"] = "2026-01-03T00:01:00Z"
    starting = pod("starting", "2026-01-04T00:00:00Z", conditions=NOT_READY)
    assert ready_pod(listed(new, old, going, starting, pod("unscheduled"))) == "new"
    assert ready_pod(listed(going, starting)) == ""
    assert ready_pod(listed()) == ""


@pytest.mark.parametrize(
    ("state", "restarts", "ready", "read"),
    [
        ({"waiting": {"reason": "CrashLoopBackOff"}}, 3, False, [("p", "c", True)]),
        ({"running": {}}, 0, False, [("p", "c", False)]),
        ({"terminated": {"exitCode": 1}}, 0, False, [("p", "c", False)]),
        ({"waiting": {"reason": "ImagePullBackOff"}}, 0, False, []),  # it has no log
        ({"running": {}}, 2, True, []),
    ],
)
def test_logs_are_read_of_containers_that_are_not_ready(
    state: dict[str, Any], restarts: int, ready: bool, read: list[tuple[str, str, bool]]
) -> None:
    container = {"name": "c", "state": state, "restartCount": restarts, "ready": ready}
    assert list(not_ready(listed(pod("p", containerStatuses=[container])))) == read


def test_unscheduled_pod_has_no_containers() -> None:
    assert list(not_ready(listed(pod("p")))) == []
