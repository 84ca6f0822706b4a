"""The endpoints over ReportBackfills: ask for one, and see how far each is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request

from admin_api.routes.actions import caller
from admin_api.schemas.backfills import Backfill, BackfillRequest, Backfills, BackfillsQuery
from admin_api.schemas.scheduler import REPORTS, NoQuery
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.backfill_requests import backfills_for, describe, newest_first
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.resources import SCHEDULES
from report_operator.api.v1alpha1.backfill import KIND
from report_operator.api.v1alpha1.resource import API_VERSION

OccasionKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="The same request is the same backfill within a day; with a key, for ever.",
    ),
]


MakeBackfill = Callable[[dict[str, Any], str, str], Awaitable[list[str]]]


def add(
    app: FastAPI, cluster: Cluster, audit: Audit, clock: Callable[[], datetime]
) -> MakeBackfill:
    """Attach them; what does the same for a form.

    It takes the JSON of the request, who asks and a key; it gives `namespace/name` of each
    ReportBackfill, and raises as `ask` does.
    """

    @app.post(f"{REPORTS}/backfill", status_code=202, tags=["act"])
    async def backfill(
        wanted: BackfillRequest, request: Request, _: NoQuery, key: OccasionKey = None
    ) -> Backfills:
        """A ReportBackfill in each namespace concerned; asked twice in a day, it is the same."""
        found = await ask(cluster, audit, wanted, caller(request), key, clock())
        return Backfills(backfills=found)

    @app.get(f"{REPORTS}/backfills", tags=["read"])
    async def backfills(query: Annotated[BackfillsQuery, Query()]) -> Backfills:
        """All of them, newest first, with their progress."""
        bodies = await cluster.backfills()
        return Backfills(backfills=newest_first(bodies, query.namespace, query.limit))

    async def make(wanted: dict[str, Any], who: str, key: str) -> list[str]:
        request = BackfillRequest.model_validate(wanted)
        found = await ask(cluster, audit, request, who, key, clock())
        return [f"{each.namespace}/{each.name}" for each in found]

    return make


async def ask(
    cluster: Cluster,
    audit: Audit,
    wanted: BackfillRequest,
    who: str,
    key: str | None,
    now: datetime,
) -> list[Backfill]:
    """Make the ReportBackfills, or find those that the same request made. Raises RefusedError."""
    snapshot = await cluster.snapshot(fresh=(SCHEDULES,))
    found: list[Backfill] = []
    for body in backfills_for(wanted, snapshot.schedules, who, key, now):
        made, is_new = await cluster.make_backfill(body)
        found.append(describe(made))
        if is_new:
            meta = made["metadata"]
            subject = ObjectReference(
                API_VERSION, KIND, meta["namespace"], meta["name"], meta["uid"]
            )
            await audit.tell(
                AuditAction.BACKFILL, who, f"{meta['namespace']}/{meta['name']}", subject
            )
    return found
