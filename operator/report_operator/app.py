"""Builds the parts of the operator and connects them; nothing runs yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from report_operator.adapters.exports import Export, lineage_export, trace_export
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.past_runs import StoredPastRuns
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.skipped import SkippedObject
from report_operator.adapters.kube.store import Store
from report_operator.adapters.postgres.database import Database
from report_operator.adapters.postgres.past_runs import PostgresPastRuns
from report_operator.adapters.postgres.writer import HistoryWriter
from report_operator.adapters.redis.lists import RedisLists
from report_operator.adapters.template_checks import TemplateChecks
from report_operator.api.v1alpha1.resource import Key
from report_operator.config import OperatorConfig
from report_operator.controllers.admission import AdmissionController
from report_operator.controllers.backfill import BackfillController
from report_operator.controllers.backfill_observe import BackfillObserver
from report_operator.controllers.crd_guard import CrdGuard
from report_operator.controllers.definitions import Definitions
from report_operator.controllers.history_archiver import HistoryArchiver
from report_operator.controllers.observe import ScheduleObserver
from report_operator.controllers.outcome_archive import NoArchive
from report_operator.controllers.owned_resources import OwnedResources
from report_operator.controllers.redis_mirror import RedisMirror
from report_operator.controllers.resync import Resync
from report_operator.controllers.schedule import ScheduleController
from report_operator.domain.backfills.status import BackfillView
from report_operator.domain.deployment import describe_deployment
from report_operator.domain.names import FIELD_MANAGER
from report_operator.domain.runs.deadlines import StartLimits
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.schedules.decision import ScheduleLimits
from report_operator.domain.schedules.view import ScheduleView
from report_operator.metrics import Metrics
from report_operator.queues import Queues

DISTRIBUTION = "adaf-report-scheduler"
HISTORY_CONNECTIONS = 4  # outcomes, logs, retention, and lookups of past runs
HISTORY_STATEMENT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class History:
    """The archiver, and the connections that it shares with lookups of past runs."""

    database: Database
    archiver: HistoryArchiver


@dataclass(frozen=True, slots=True)
class App:
    """The parts that run. `history` is None where no PostgreSQL is configured."""

    config: OperatorConfig
    identity: str
    store: Store
    metrics: Metrics
    recorder: Recorder
    templates: TemplateChecks
    backfills: BackfillController
    crds: CrdGuard
    resync: Resync
    redis_mirror: RedisMirror
    queues: Queues
    history: History | None
    exports: Sequence[Export[Any]]


def utc_now() -> datetime:
    return datetime.now(UTC)


def build(kube: KubeClient, config: OperatorConfig, identity: str, namespace: str) -> App:
    """`namespace` is the operator's own, which has its Lease."""
    store = Store()
    recorder = Recorder(kube, identity)
    schedule_views: dict[Key, ScheduleView] = {}
    backfill_views: dict[Key, BackfillView] = {}
    metrics = Metrics(
        lambda: list(schedule_views.values()),
        lambda: list(backfill_views.values()),
        kube.writes,
        store.skipped.counts,
        config.team_names(),
    )

    def record_skipped(skipped: SkippedObject, body: Mapping[str, Any]) -> None:
        recorder.record_skipped(skipped, body, utc_now())

    def enqueue_schedule(key: Key) -> None:
        queues.enqueue_schedule(key)  # made last: it needs the controllers, which need history

    store.skipped.on_skipped = record_skipped
    definitions = Definitions(kube)
    templates = TemplateChecks()
    admission = AdmissionController(
        kube,
        store,
        config.admission_limits(),
        timedelta(seconds=config.admission.start_grace_seconds),
        utc_now,
    )
    metrics.follow_admission(admission.queue, lambda: admission.refusals)
    history = _build_history(kube, config, store, metrics, enqueue_schedule)
    exports = _build_exports(config)
    metrics.follow_exports({export.signal: export.counts for export in exports})
    archive = history.archiver if history else NoArchive()
    schedules = ScheduleController(
        kube=kube,
        store=store,
        owned_resources=OwnedResources(
            kube,
            store,
            config.pod_settings(),
            config.secret_allowed,
            definitions,
            recorder,
            templates,
            config.admission_limits().of,
            config.kueue.enabled,
        ),
        observer=ScheduleObserver(kube, store, recorder, archive, admission.waits_for),
        recorder=recorder,
        metrics=metrics,
        limits=_schedule_limits(config),
        history=archive,
        teams=config.team_names(),
        exports=exports,
        clock=utc_now,
        views=schedule_views,
    )
    past_runs = (
        StoredPastRuns(store),
        *((PostgresPastRuns(history.database),) if history else ()),
    )
    backfills = BackfillController(
        kube, store, recorder, BackfillObserver(store, past_runs), utc_now, backfill_views
    )
    queues = Queues(store, schedules, backfills, admission, config.workers)
    return App(
        config=config,
        identity=identity,
        store=store,
        metrics=metrics,
        recorder=recorder,
        templates=templates,
        backfills=backfills,
        crds=CrdGuard(kube),
        resync=Resync(kube, store, config.watched, utc_now, definitions),
        redis_mirror=RedisMirror(
            kube=kube,
            store=store,
            recorder=recorder,
            metrics=metrics,
            redis=RedisLists(config.redis_secret) if config.redis_secret else None,
            namespace=namespace,
            lease=config.lease_name,
            queue=admission.queue,
        ),
        queues=queues,
        history=history,
        exports=exports,
    )


def _schedule_limits(config: OperatorConfig) -> ScheduleLimits:
    return ScheduleLimits(
        StartLimits(
            startup=timedelta(seconds=config.startup_deadline_seconds),
            queue=timedelta(seconds=config.queue_timeout_seconds),
        ),
        HistoryLimits(
            config.history.keep_succeeded_jobs,
            config.history.keep_failed_jobs,
            config.history.keep_outcomes,
        ),
    )


def _build_exports(config: OperatorConfig) -> list[Export[Any]]:
    found: list[Export[Any]] = []
    if config.tracing.endpoint:
        found.append(trace_export(config.tracing.endpoint, version(DISTRIBUTION)))
    if config.lineage.url:
        names = config.lineage.namespace
        found.append(lineage_export(config.lineage.url, names, version(DISTRIBUTION)))
    return found


def _build_history(
    kube: KubeClient,
    config: OperatorConfig,
    store: Store,
    metrics: Metrics,
    enqueue_schedule: Callable[[Key], None],
) -> History | None:
    secret, days = config.postgres_secret, config.history.retention_days
    if secret is None:
        return None
    database = Database(secret, FIELD_MANAGER, HISTORY_CONNECTIONS, HISTORY_STATEMENT_SECONDS)
    archiver = HistoryArchiver(
        writer=HistoryWriter(database),
        kube=kube,
        store=store,
        metrics=metrics,
        clock=utc_now,
        enqueue_schedule=enqueue_schedule,
        deployment=describe_deployment(
            version(DISTRIBUTION), config.runner.image, config.model_dump(mode="json")
        ),
        retention=timedelta(days=days) if days else None,
    )
    return History(database, archiver)
