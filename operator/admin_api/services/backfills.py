"""ReportBackfills: made on request, and listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from admin_api.errors import RefusedError, refused_by_cluster
from admin_api.schemas.backfills import (
    Backfill,
    BackfillRequest,
    Backfills,
    BackfillsQuery,
    CancelledBackfill,
    RefusedNamespace,
    RequestedBackfills,
)
from admin_api.services import backfill_cancelling
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.backfill_requests import backfills_for, describe, page_of
from admin_api.services.cluster import Cluster
from admin_api.services.known_names import KNOWN_LIMIT
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import SCHEDULES
from report_operator.api.v1alpha1.backfill import KIND
from report_operator.api.v1alpha1.resource import API_VERSION


@dataclass(frozen=True, slots=True)
class BackfillService:
    """Raises RefusedError, or what the API client raises."""

    cluster: Cluster
    audit: Audit
    clock: Callable[[], datetime]

    async def make(
        self, wanted: BackfillRequest, requested_by: str, key: str | None
    ) -> RequestedBackfills:
        """The ReportBackfills of a request, one a namespace; a repeated request finds the same.

        A namespace that refuses its own keeps no other from one; where all refuse, it is raised.
        """
        snapshot = await self.cluster.snapshot(fresh=(SCHEDULES,))
        bodies = backfills_for(wanted, snapshot.schedules, requested_by, key, self.clock())
        found: list[Backfill] = []
        refused: list[RefusedNamespace] = []
        for body in bodies:
            try:
                made, is_new = await self.cluster.create_backfill(body)
            except (RefusedError, ApiError) as error:
                if (known := _refusal(error)) is None or len(bodies) == 1:
                    raise
                refused.append(
                    RefusedNamespace(namespace=body["metadata"]["namespace"], reason=known.message)
                )
                continue
            found.append(describe(made))
            if is_new:
                meta = made["metadata"]
                namespace, name = meta["namespace"], meta["name"]
                subject = ObjectReference(API_VERSION, KIND, namespace, name, meta["uid"])
                await self.audit.record(
                    AuditAction.BACKFILL, requested_by, f"{namespace}/{name}", subject
                )
        if not found:
            told = "; ".join(f"{one.namespace}: {one.reason}" for one in refused[:KNOWN_LIMIT])
            raise RefusedError(409, f"none of {len(refused)} namespaces takes one: {told}")
        return RequestedBackfills(backfills=found, refused=refused)

    async def plan_cancelling(
        self, namespace: str, name: str
    ) -> tuple[Backfill, CancelledBackfill]:
        """The backfill, and what becomes of its runs if it is cancelled; nothing is done."""
        return await backfill_cancelling.plan_cancelling(self.cluster, namespace, name)

    async def cancel(self, namespace: str, name: str, requested_by: str) -> CancelledBackfill:
        """No further runs: those that wait are removed, those under way go on."""
        return await backfill_cancelling.cancel(
            self.cluster, self.audit, namespace, name, requested_by
        )

    async def list_newest(self, query: BackfillsQuery) -> Backfills:
        """A page, newest first."""
        return page_of(await self.cluster.backfills(), query)


def _refusal(error: RefusedError | ApiError) -> RefusedError | None:
    """None where the API server does not serve: then nothing is known of any namespace."""
    return error if isinstance(error, RefusedError) else refused_by_cluster(error)
