"""What is made anew at each scrape: collectors over the views, the queue and counters of others."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from report_operator.domain.admission.queue import Queue
from report_operator.domain.admission.waiting import Hold
from report_operator.domain.backfills.status import BackfillView
from report_operator.domain.runs.outcomes import skipped_key
from report_operator.domain.schedules.view import ScheduleView, StorageUse
from report_operator.domain.teams import Teams
from report_runner.cgroup import cpu_limit, memory_limit
from report_runner.contract.reasons import FAILURE_REASONS, SKIP_REASONS
from report_runner.contract.result import Outcome
from report_runner.outbox import Counts as ExportCounts

PREFIX = "report_scheduler"
SCHEDULE_LABELS = ("namespace", "reportschedule", "tier")
TEAM_LABELS = (*SCHEDULE_LABELS, "team")

WATCHED = ("cronjobs", "jobs", "pods", "reportbackfills", "reportschedules")

Views = Callable[[], Iterable[ScheduleView]]
BackfillViews = Callable[[], Iterable[BackfillView]]


class ScheduleCollector(Collector):
    """Gauges and counters per schedule, made from the views at each scrape."""

    def __init__(self, views: Views, teams: Teams) -> None:
        self._views, self._teams = views, teams

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the labels depend on the cluster."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        failed = GaugeMetricFamily(
            f"{PREFIX}_last_run_failed",
            "Whether the newest slot failed and has no report; `cause` is the reason.",
            labels=(*TEAM_LABELS, "cause"),
        )
        ready = _gauge("schedule_ready", "Whether the definition is in effect.")
        due = _gauge(
            "next_due_timestamp_seconds",
            "Oldest slot that is due and unfinished, else the next slot; absent while suspended.",
        )
        late = _gauge("late_after_seconds", "A slot is late when it is unfinished for longer.")
        success = _gauge("last_success_timestamp_seconds", "When a run last succeeded.")
        queued = _gauge("queued_runs", "Runs that wait for admission.")
        active = _gauge("active_runs", "Runs that are admitted and not finished.")
        waiting = _gauge(
            "runs_waiting_for_data", "Runs whose data were not ready, between two checks."
        )
        memory = _gauge(
            "last_run_memory_used_ratio", "Most memory of the newest run that told, of its limit."
        )
        warnings = _gauge(
            "last_report_warnings", "Checks of the newest report's rows that did not pass."
        )
        runs = CounterMetricFamily(
            f"{PREFIX}_runs", "Finished runs.", labels=(*TEAM_LABELS, "result", "reason")
        )
        missed = CounterMetricFamily(
            f"{PREFIX}_missed_slots",
            "Slots that passed without a run, and that none will be made for.",
            labels=TEAM_LABELS,
        )
        storage = GaugeMetricFamily(
            f"{PREFIX}_storage_used_ratio",
            "How full the report volume of a namespace was when a run last ended there.",
            labels=("namespace", "team"),
        )
        spaces = GaugeMetricFamily(
            f"{PREFIX}_namespace_info",
            "1 for each namespace that has schedules, with its team.",
            labels=("namespace", "team"),
        )
        namespaces: set[str] = set()
        depth = 0
        volumes: dict[str, StorageUse] = {}
        for view in self._views():
            labels = (view.namespace, view.name, view.tier, view.team)
            failed.add_metric((*labels, view.cause), view.last_run_failed)
            ready.add_metric(labels, view.ready)
            late.add_metric(labels, view.late_after.total_seconds())
            queued.add_metric(labels, view.queued)
            active.add_metric(labels, view.active)
            waiting.add_metric(labels, view.waiting_for_data)
            warnings.add_metric(labels, view.warnings)
            if view.memory_used is not None:
                memory.add_metric(labels, view.memory_used)
            if view.next_due is not None:
                due.add_metric(labels, view.next_due.timestamp())
            if view.last_success is not None:
                success.add_metric(labels, view.last_success.timestamp())
            succeeded = Outcome.SUCCEEDED.value
            runs.add_metric((*labels, succeeded, ""), view.counts.get(succeeded, 0))
            for reason in FAILURE_REASONS:
                count = view.counts.get(reason.value, 0)
                runs.add_metric((*labels, Outcome.FAILED.value, reason.value), count)
            for reason in SKIP_REASONS:
                count = view.counts.get(skipped_key(reason), 0)
                runs.add_metric((*labels, Outcome.SKIPPED.value, reason.value), count)
            missed.add_metric(labels, view.missed_slots)
            depth += view.queued
            namespaces.add(view.namespace)
            known = volumes.get(view.namespace)
            if view.storage is not None and (known is None or known.at < view.storage.at):
                volumes[view.namespace] = view.storage
        total = GaugeMetricFamily(f"{PREFIX}_queue_depth", "Runs that wait, over all schedules.")
        total.add_metric((), depth)
        for namespace in sorted(namespaces):
            spaces.add_metric((namespace, self._teams.of_namespace(namespace)), 1)
        for namespace, use in volumes.items():
            storage.add_metric((namespace, self._teams.of_namespace(namespace)), use.ratio)
        yield from (failed, ready, due, late, success, queued, active, waiting)
        yield from (memory, warnings, runs, missed, total, spaces, storage)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=TEAM_LABELS)


class BackfillCollector(Collector):
    """Progress of each backfill, made from the views at each scrape."""

    def __init__(self, views: BackfillViews) -> None:
        self._views = views

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the labels depend on the cluster."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            f"{PREFIX}_backfill_runs",
            "Slots of a ReportBackfill by state: done, failed, skipped, running, left.",
            labels=("namespace", "reportbackfill", "state"),
        )
        for view in self._views():
            for state, count in view.runs.items():
                family.add_metric((view.namespace, view.name, state), count)
        yield family


class AdmissionCollector(Collector):
    """Places and the queue, made at each scrape: a run also stops starting by the clock alone."""

    def __init__(
        self, queue: Callable[[], Queue], refusals: Callable[[], int], teams: Teams
    ) -> None:
        self._queue, self._refusals, self._teams = queue, refusals, teams

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the labels depend on the cluster."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        queue = self._queue()
        places = GaugeMetricFamily(f"{PREFIX}_places", "Runs that may be active at once.")
        places.add_metric((), queue.places)
        taken = GaugeMetricFamily(
            f"{PREFIX}_places_taken", "Of these, taken by runs that work or are about to start."
        )
        taken.add_metric((), queue.taken)
        stuck = GaugeMetricFamily(
            f"{PREFIX}_runs_not_starting",
            "Admitted runs without a pod that runs, for longer than startGraceSeconds.",
            labels=("namespace", "team"),
        )
        for namespace, count in queue.not_starting_by_namespace.items():
            stuck.add_metric((namespace, self._teams.of_namespace(namespace)), count)
        waiting = GaugeMetricFamily(
            f"{PREFIX}_held_runs", "Waiting runs by what holds them back.", labels=("hold",)
        )
        held = Counts(entry.hold for entry in queue.waiting)
        for hold in Hold:
            waiting.add_metric((hold.value,), held[hold])
        refused = CounterMetricFamily(
            f"{PREFIX}_admission_refusals", "Times that the API server refused to let a run start."
        )
        refused.add_metric((), self._refusals())
        yield from (places, taken, stuck, waiting, refused)


class WritesCollector(Collector):
    """Writing requests, by kind."""

    def __init__(self, writes: Mapping[str, int]) -> None:
        self._writes = writes

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            f"{PREFIX}_api_writes", "Writes to the API server.", labels=("resource",)
        )
        for resource, count in sorted(self._writes.items()):
            if resource != "leases":
                family.add_metric((resource,), count)
        yield family


class SkippedCollector(Collector):
    """Skipped objects, by kind."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the labels depend on the cluster."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            f"{PREFIX}_objects_skipped",
            "Objects that are left out because they cannot be read or decided on.",
            labels=("resource",),
        )
        counts = self._counts()
        for resource in sorted({*WATCHED, *counts}):
            family.add_metric((resource,), counts.get(resource, 0))
        yield family


class LimitsCollector(Collector):
    """What process_resident_memory_bytes and process_cpu_seconds_total may come to."""

    def __init__(self) -> None:
        self._memory, self._cpus = memory_limit(), cpu_limit()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        memory = GaugeMetricFamily(
            f"{PREFIX}_memory_limit_bytes",
            "Memory that the operator may use; absent without a limit.",
        )
        if self._memory is not None:
            memory.add_metric((), self._memory)
        cpus = GaugeMetricFamily(
            f"{PREFIX}_cpu_limit_cores",
            "CPUs that the operator may use: its quota, else those of its node.",
        )
        cpus.add_metric((), self._cpus)
        yield from (memory, cpus)


class ExportsCollector(Collector):
    """What runs left behind for other systems, by whether these took it."""

    def __init__(self, counts: Mapping[str, ExportCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            f"{PREFIX}_export_items",
            "Spans of traces and events of lineage that were to be sent, where that is configured.",
            labels=("signal", "result"),
        )
        for signal, counts in self._counts.items():
            family.add_metric((signal, "sent"), counts.sent)
            family.add_metric((signal, "dropped"), counts.dropped)
        yield family
