"""The Lease: released where the server does a renewal late, lost where another holds it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.lease import ANNOTATION_SHUTDOWN_REQUESTED, Lease, LeaseLostError
from report_operator.adapters.kube.resources import Resource

pytestmark = pytest.mark.timeout(60)


class Leases:
    """An API server with one Lease; `late` renewals are done between a read and the next write."""

    def __init__(self, late: int = 0) -> None:
        self.body: Body | None = None
        self.version = 0
        self.late = late

    def _touch(self) -> None:
        assert self.body is not None
        self.version += 1
        self.body["metadata"]["resourceVersion"] = str(self.version)

    async def get(self, _: Resource, namespace: str, name: str) -> Body | None:
        if self.body is None:
            return None
        meta, spec = self.body["metadata"], self.body["spec"]
        return {"metadata": dict(meta), "spec": dict(spec)}

    async def create(self, _: Resource, namespace: str, body: Body) -> Body:
        self.body = {"metadata": dict(body["metadata"]), "spec": dict(body["spec"])}
        self._touch()
        return self.body

    async def patch(self, _: Resource, namespace: str, name: str, body: Body) -> Body:
        assert self.body is not None
        if body["spec"].get("holderIdentity") == "" and self.late:
            self.late -= 1
            self._touch()
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        self.body["spec"] |= body["spec"]
        self._touch()
        return self.body


def make(leases: Leases, **more: Any) -> Lease:
    return Lease(cast(KubeClient, leases), "operators", "scheduler", "me", 15, **more)


@pytest.mark.parametrize("late", [0, 1, 3])
async def test_lease_is_released_on_shutdown(late: int) -> None:
    leases = Leases(late)

    async def work() -> None:
        assert leases.body is not None
        assert leases.body["spec"]["holderIdentity"] == "me"

    await make(leases).lead(work)
    assert leases.body is not None
    assert leases.body["spec"]["holderIdentity"] == ""


async def test_shutdown_request_is_seen_after_the_renewal() -> None:
    leases = Leases()
    asked: list[str] = []
    lease = make(leases, on_shutdown_request=lambda: asked.append(str(leases.version)))
    assert await lease._attempt()
    assert leases.body is not None
    leases.body["metadata"]["annotations"] = {ANNOTATION_SHUTDOWN_REQUESTED: "me"}
    before = leases.version
    assert await lease._attempt()
    assert asked == [str(before + 1)]


async def test_leader_stops_at_once_where_another_holds_the_lease() -> None:
    """As after the Lease was deleted, when a standby makes it anew first."""
    leases = Leases()
    stopped: list[bool] = []

    async def work() -> None:
        assert leases.body is not None
        leases.body["spec"]["holderIdentity"] = "standby"
        leases._touch()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(True)

    with pytest.raises(LeaseLostError, match="held by another"):
        await make(leases).lead(work)
    assert leases.body is not None
    assert leases.body["spec"]["holderIdentity"] == "standby"
    await asyncio.sleep(0)  # the turn in which it is cancelled
    assert stopped == [True]
