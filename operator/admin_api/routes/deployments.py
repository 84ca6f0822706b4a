"""What was rolled out lately, as history has it, else as the ReplicaSets tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from admin_api.schemas.scheduler import DEPLOYMENTS, Instant, NoQuery
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from report_operator.adapters.postgres.reader import StoredDeployment
from report_operator.domain.deployment import COMPONENTS
from report_operator.domain.times import parse_time

LIMIT = 50
VERSION_LABEL = "app.kubernetes.io/version"


class Deployment(BaseModel):
    """A roll-out."""

    components: list[str] = Field(examples=[list(COMPONENTS)])
    version: str
    image: str
    time: Instant


def add(app: FastAPI, cluster: Cluster, past: HistoryClient) -> None:
    """Attach the endpoint."""

    @app.get(f"{DEPLOYMENTS}/recent", tags=["read"])
    async def deployments(_: NoQuery) -> list[Deployment]:
        """Roll-outs of the scheduler, newest first, at most 50."""
        kept, _lacking = await past.ask(past.reader.deployments(LIMIT) if past.reader else None)
        if kept:
            return [of_history(deployment) for deployment in kept]
        return of_replica_sets(await cluster.replica_sets())[:LIMIT]


def of_history(kept: StoredDeployment) -> Deployment:
    """As the operator recorded it when it began to lead."""
    return Deployment(
        components=list(kept.components),
        version=kept.version,
        image=kept.image,
        time=kept.rolled_out_at,
    )


def of_replica_sets(bodies: Iterable[Mapping[str, Any]]) -> list[Deployment]:
    """The roll-outs that Kubernetes still knows, newest first."""
    found = []
    for body in bodies:
        template = body["spec"]["template"]
        made = parse_time(body["metadata"]["creationTimestamp"])
        if made is None:
            continue
        found.append(
            Deployment(
                components=list(COMPONENTS),
                version=(template["metadata"].get("labels") or {}).get(VERSION_LABEL, ""),
                image=template["spec"]["containers"][0]["image"],
                time=made,
            )
        )
    return sorted(found, key=lambda deployment: deployment.time, reverse=True)
