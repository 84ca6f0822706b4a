"""What the routes depend on: the services that make_app puts into app.state, as FastAPI's Depends.

The functions are coroutines because FastAPI runs plain ones in a thread, each at every request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from admin_api.auth.caller import Caller
from admin_api.services.analytics import Analytics
from admin_api.services.attempts import AttemptService
from admin_api.services.audit import Audit
from admin_api.services.backends import Backends
from admin_api.services.backfills import BackfillService
from admin_api.services.cluster import Cluster
from admin_api.services.files import FileServers
from admin_api.services.history_client import HistoryClient
from admin_api.services.queue import QueueView
from admin_api.services.verifications import VerificationService
from admin_api.web.forms import Forms
from admin_api.web.html import Pages
from admin_api.web.snapshot_cache import SnapshotCache

Exposition = Callable[[], Awaitable[str]]  # the operator's metrics as Prometheus text
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Services:
    """`app.state.services`: one of each for the life of the process."""

    cluster: Cluster
    history: HistoryClient
    attempts: AttemptService
    audit: Audit
    backfills: BackfillService
    queue: QueueView
    verifications: VerificationService
    analytics: Analytics
    backends: Backends
    files: FileServers
    exposition: Exposition
    clock: Clock
    pages: Pages
    forms: Forms
    snapshots: SnapshotCache


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_caller(request: Request) -> Caller:
    """Who calls, as AccessMiddleware found out."""
    caller: Caller = request.state.caller
    return caller


async def get_cluster(services: ServicesDep) -> Cluster:
    return services.cluster


async def get_history(services: ServicesDep) -> HistoryClient:
    return services.history


async def get_attempts(services: ServicesDep) -> AttemptService:
    return services.attempts


async def get_audit(services: ServicesDep) -> Audit:
    return services.audit


async def get_backfills(services: ServicesDep) -> BackfillService:
    return services.backfills


async def get_queue(services: ServicesDep) -> QueueView:
    return services.queue


async def get_verifications(services: ServicesDep) -> VerificationService:
    return services.verifications


async def get_analytics(services: ServicesDep) -> Analytics:
    return services.analytics


async def get_backends(services: ServicesDep) -> Backends:
    return services.backends


async def get_files(services: ServicesDep) -> FileServers:
    return services.files


async def get_exposition(services: ServicesDep) -> Exposition:
    return services.exposition


async def get_now(services: ServicesDep) -> datetime:
    return services.clock()


async def get_pages(services: ServicesDep) -> Pages:
    return services.pages


async def get_forms(services: ServicesDep) -> Forms:
    return services.forms


async def get_snapshots(services: ServicesDep) -> SnapshotCache:
    return services.snapshots


CallerDep = Annotated[Caller, Depends(get_caller)]
ClusterDep = Annotated[Cluster, Depends(get_cluster)]
HistoryDep = Annotated[HistoryClient, Depends(get_history)]
AttemptsDep = Annotated[AttemptService, Depends(get_attempts)]
AuditDep = Annotated[Audit, Depends(get_audit)]
BackfillsDep = Annotated[BackfillService, Depends(get_backfills)]
QueueDep = Annotated[QueueView, Depends(get_queue)]
VerificationsDep = Annotated[VerificationService, Depends(get_verifications)]
AnalyticsDep = Annotated[Analytics, Depends(get_analytics)]
BackendsDep = Annotated[Backends, Depends(get_backends)]
FilesDep = Annotated[FileServers, Depends(get_files)]
ExpositionDep = Annotated[Exposition, Depends(get_exposition)]
NowDep = Annotated[datetime, Depends(get_now)]
PagesDep = Annotated[Pages, Depends(get_pages)]
FormsDep = Annotated[Forms, Depends(get_forms)]
SnapshotsDep = Annotated[SnapshotCache, Depends(get_snapshots)]
