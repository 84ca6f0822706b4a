"""Roll-outs of the scheduler: from history, else from the operator's ReplicaSets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from admin_api.schemas.deployments import Deployment
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from report_operator.adapters.postgres.reader import StoredDeployment
from report_operator.domain.deployment import COMPONENTS
from report_operator.domain.times import parse_time

LIMIT = 50
VERSION_LABEL = "app.kubernetes.io/version"


async def recent_deployments(cluster: Cluster, history: HistoryClient) -> list[Deployment]:
    """Newest first, at most LIMIT."""
    reader = history.reader
    stored, _ = await history.query(reader.deployments(LIMIT) if reader else None)
    if stored:
        return [of_history(deployment) for deployment in stored]
    return of_replica_sets(await cluster.replica_sets())[:LIMIT]


def of_history(stored: StoredDeployment) -> Deployment:
    """As the operator recorded it when it began to lead."""
    return Deployment(
        components=list(stored.components),
        version=stored.version,
        image=stored.image,
        time=stored.rolled_out_at,
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
