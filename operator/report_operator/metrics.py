"""Metrics; all of them are rebuilt from the cluster at start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.collectors import (
    PREFIX,
    SCHEDULE_LABELS,
    AdmissionCollector,
    BackfillCollector,
    BackfillViews,
    ExportsCollector,
    LimitsCollector,
    ScheduleCollector,
    SkippedCollector,
    Views,
    WritesCollector,
)
from report_operator.domain.admission.queue import Queue
from report_operator.domain.teams import Teams
from report_runner.outbox import Counts as ExportCounts

STAGE_BUCKETS = (1, 5, 15, 60, 300, 900, 1800, 3600, 10800)  # seconds


class Metrics:
    def __init__(
        self,
        views: Views,
        backfills: BackfillViews,
        writes: Mapping[str, int],
        skipped: Callable[[], Mapping[str, int]] = dict,
        teams: Teams | None = None,
    ) -> None:
        self._teams = teams or Teams()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(ScheduleCollector(views, self._teams))
        self.registry.register(BackfillCollector(backfills))
        self.registry.register(WritesCollector(writes))
        self.registry.register(SkippedCollector(skipped))
        self._stages = Histogram(
            f"{PREFIX}_run_stage_seconds",
            "How long finished runs were queued, waiting for data, pending and running.",
            (*SCHEDULE_LABELS, "stage"),
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self._cache = Counter(
            f"{PREFIX}_source_cache",
            "Sources with a cache by whether an earlier run had fetched their rows (hit).",
            (*SCHEDULE_LABELS, "result"),
            registry=self.registry,
        )
        self._up = Gauge(
            f"{PREFIX}_dependency_up",
            "Whether a dependency answered last time.",
            ("dependency",),
            registry=self.registry,
        )
        self._dead_letters = Gauge(
            f"{PREFIX}_dead_letters",
            "Slots that were given up on, as in the list for on-call.",
            registry=self.registry,
        )
        self._refused = Gauge(
            f"{PREFIX}_history_refused_records",
            "Outcomes that history does not take: PostgreSQL refuses them, or they cannot be read.",
            registry=self.registry,
        )
        self._corruption = Counter(
            f"{PREFIX}_history_corruption_errors",
            "Answers of history's database that its data are corrupted (SQLSTATE XX001, XX002).",
            registry=self.registry,
        )
        self.registry.register(LimitsCollector())
        # The first name is the one of 0.1.0, kept for one release.
        self._history_pending = tuple(
            Gauge(
                f"{PREFIX}_{name}",
                "Outcomes that are in status and not in history yet.",
                registry=self.registry,
            )
            for name in ("history_waiting_outcomes", "history_pending_records")
        )
        self._reconciled = Gauge(
            f"{PREFIX}_last_reconcile_timestamp_seconds",
            "When a schedule was last reconciled.",
            registry=self.registry,
        )
        self._resynced = Gauge(
            f"{PREFIX}_last_resync_timestamp_seconds",
            "When everything was last compared with the API server.",
            registry=self.registry,
        )

    def follow_admission(self, queue: Callable[[], Queue], refusals: Callable[[], int]) -> None:
        """Both are called at each scrape."""
        self.registry.register(AdmissionCollector(queue, refusals, self._teams))

    def follow_exports(self, counts: Mapping[str, ExportCounts]) -> None:
        """`counts` are by signal, of those that are configured; they are read at each scrape."""
        self.registry.register(ExportsCollector(counts))

    def run_recorded(self, namespace: str, name: str, tier: str, run: RecentRun) -> None:
        """Adds the stage times of a finished run, and how often the cache served it."""
        for result, count in (("hit", run.cache_hits), ("miss", run.cache_misses)):
            if count is not None:
                self._cache.labels(namespace, name, tier, result).inc(count)
        for stage, seconds in (
            ("queued", run.queued_seconds),
            ("waiting_for_data", run.data_wait_seconds),
            ("pending", run.pending_seconds),
            ("running", run.run_seconds),
        ):
            if seconds is not None:
                self._stages.labels(namespace, name, tier, stage).observe(seconds)

    def reconciled(self, now: datetime) -> None:
        self._reconciled.set(now.timestamp())

    def resynced(self, now: datetime, *, up: bool) -> None:
        """`up` is whether the API server answered."""
        self.dependency("kubernetes", up=up)
        if up:
            self._resynced.set(now.timestamp())

    def dependency(self, name: str, *, up: bool) -> None:
        self._up.labels(name).set(up)

    def history_pending(self, outcomes: Callable[[], float]) -> None:
        """`outcomes` returns the number of pending records; it is called at each scrape."""
        for gauge in self._history_pending:
            gauge.set_function(outcomes)

    def history_refused(self, outcomes: Callable[[], float]) -> None:
        """`outcomes` returns the number of refused records; it is called at each scrape."""
        self._refused.set_function(outcomes)

    def history_corrupted(self) -> None:
        self._corruption.inc()

    def dead_letters(self, count: int) -> None:
        self._dead_letters.set(count)
