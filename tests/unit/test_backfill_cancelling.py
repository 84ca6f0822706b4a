"""Cancelling a backfill: what waits is removed, what runs goes on, what has ended is a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from factories import SLOT, active_run, make_run
from snapshots import snapshot_of

from admin_api.errors import RefusedError
from admin_api.schemas.backfills import CancelledBackfill
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.backfill_cancelling import cancel, plan_cancelling
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.client import ApiError, KubeClient

Body = dict[str, Any]


def backfill(**status: Any) -> Body:
    return {
        "metadata": {"namespace": "reports", "name": "b-1", "uid": "u-1",
                     "creationTimestamp": "2026-11-24T05:00:00Z"},
        "spec": {"startDate": "2026-11-01", "endDate": "2026-11-20", "tiers": ["critical"]},
        "status": {"progress": "37/120", **status},
    }  # fmt: skip


RUNS = [
    make_run(name="a", uid="a", backfill="b-1", backfill_uid="u-1"),
    active_run(name="b", uid="b", attempt=2, backfill="b-1", backfill_uid="u-1"),
    make_run(name="c", uid="c", attempt=3, backfill="b-1", backfill_uid="of another"),
    make_run(name="d", uid="d", attempt=4, backfill="b-1", backfill_uid="u-1", finished_at=SLOT),
    make_run(name="e", uid="e", attempt=5, backfill="b-1", backfill_uid="u-1", namespace="x"),
    make_run(name="f", uid="f", attempt=6),
]


@dataclass
class Server:
    """In place of the API server."""

    body: Body | None
    error: Exception | None = None
    deleted: list[tuple[str, str, str]] = field(default_factory=list)
    recorded: list[tuple[AuditAction, str, str]] = field(default_factory=list)

    async def find_backfill(self, namespace: str, name: str) -> Body | None:
        return self.body

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        return snapshot_of([], RUNS)

    async def delete_backfill(self, namespace: str, name: str, uid: str) -> bool:
        if self.error is not None:
            raise self.error
        self.deleted.append((namespace, name, uid))
        return len(self.deleted) == 1

    async def record(
        self, action: AuditAction, requested_by: str, target: str, reference: Any
    ) -> None:
        self.recorded.append((action, requested_by, target))

    async def cancel(self) -> CancelledBackfill:
        return await cancel(cast(Cluster, self), cast(Audit, self), "reports", "b-1", "kim")


async def test_waiting_runs_go_and_active_ones_stay() -> None:
    server = Server(backfill())
    _, planned = await plan_cancelling(cast(Cluster, server), "reports", "b-1")
    assert (planned.dry_run, server.deleted) == (True, [])
    done = await server.cancel()
    assert done == planned.model_copy(update={"dry_run": False})
    assert done.removed == [RUNS[0].identity.id]
    assert done.going_on == [RUNS[1].identity.id]
    assert done.message.startswith(
        "1 waiting run removed, no further ones are made; 1 run under way"
    )
    assert server.deleted == [("reports", "b-1", "u-1")]
    assert server.recorded == [(AuditAction.CANCEL, "kim", "reports/b-1")]
    with pytest.raises(RefusedError, match="cancelled before"):  # somebody else was first
        await server.cancel()
    assert len(server.recorded) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (None, 404, "was it cancelled before"),
        (backfill(completionTime="2026-11-24T06:00:00Z"), 409, "ended 2026-11-24T06:00:00Z"),
        ({**backfill(), "spec": {}}, 409, "kubectl -n reports delete reportbackfill b-1"),
    ],
)
async def test_what_cannot_be_cancelled_is_refused(
    body: Body | None, status: int, said: str
) -> None:
    server = Server(body)
    with pytest.raises(RefusedError, match=said) as raised:
        await server.cancel()
    assert (raised.value.status, server.deleted, server.recorded) == (status, [], [])


async def test_missing_right_names_the_command() -> None:
    server = Server(backfill(), ApiError(403, "Forbidden", "may not"))
    with pytest.raises(
        RefusedError, match="kubectl -n reports delete reportbackfill b-1"
    ) as raised:
        await server.cancel()
    assert (raised.value.status, server.recorded) == (403, [])


class NoServer:
    async def get(self, *_: Any) -> Body:
        raise AssertionError("it is asked")


@pytest.mark.parametrize("name", ["..", "a?dryRun=All", "a%2Fstatus", "a/b", "Ä", "x" * 254, "\0"])
async def test_what_can_be_no_name_is_not_asked_for(name: str) -> None:
    cluster = Cluster(cast(KubeClient, NoServer()), "system", "lease", (None,))
    assert await cluster.find_backfill("reports", name) is None
    assert await cluster.find_backfill(name, "b-1") is None
