"""The metrics as Prometheus reads them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from factories import SLOT, active_run, make_entry, make_run
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import make_queue
from report_operator.domain.backfills.status import BackfillView
from report_operator.domain.schedules.view import (
    ScheduleView,
    StorageUse,
    memory_used,
    storage_use,
    warnings_of,
)
from report_operator.metrics import Metrics
from report_runner.contract.reasons import FAILURE_REASONS, SKIP_REASONS, Reason
from report_runner.outbox import Counts as ExportCounts

RUN_LABELS = {"namespace": "reports", "reportschedule": "daily", "tier": "critical"}
LABELS = {**RUN_LABELS, "team": "finance"}
VIEW = ScheduleView(
    namespace="reports",
    name="daily",
    tier="critical",
    team="finance",
    cause="",
    last_run_failed=False,
    ready=True,
    late_after=timedelta(minutes=30),
    next_due=SLOT,
    last_success=SLOT - timedelta(days=1),
    queued=2,
    active=1,
    missed_slots=0,
    counts={"Succeeded": 40, "Timeout": 2},
    waiting_for_data=3,
)
PER_SCHEDULE = {
    "schedule_ready": 1,
    "next_due_timestamp_seconds": SLOT.timestamp(),
    "late_after_seconds": 1800,
    "last_success_timestamp_seconds": (SLOT - timedelta(days=1)).timestamp(),
    "queued_runs": 2,
    "active_runs": 1,
    "runs_waiting_for_data": 3,
    "last_report_warnings": 0,
}


def metrics_of(views: list[ScheduleView], **writes: int) -> Metrics:
    return Metrics(lambda: views, list, writes)


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of ours, by its name without the prefix and by its labels."""
    text = generate_latest(metrics.registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("process_"):
                continue
            key = (
                sample.name.removeprefix("report_scheduler_"),
                frozenset(sample.labels.items()),
            )
            assert sample.name.startswith("report_scheduler_")
            assert key not in found
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return scrape(metrics).get((name, frozenset(labels.items())))


def test_warnings_are_those_of_the_newest_report() -> None:
    def entry(day: int, reason: Reason | None = None, **more: Any) -> RecentRun:
        return make_entry(f"job-{day}", reason, finished_at=SLOT + timedelta(days=day), **more)

    warned = entry(2, warnings=3)
    assert warnings_of([entry(1, warnings=1), warned]) == 3
    assert warnings_of([warned, entry(3, Reason.TIMEOUT), entry(4, backfill="b")]) == 3
    assert warnings_of([warned, entry(3)]) == 0
    assert warnings_of([]) == 0
    assert value(metrics_of([replace(VIEW, warnings=3)]), "last_report_warnings", **LABELS) == 3


def test_gauges_of_a_schedule() -> None:
    metrics = metrics_of([VIEW])
    found = scrape(metrics)
    for name, expected in PER_SCHEDULE.items():
        assert found[name, frozenset(LABELS.items())] == expected, name
    assert value(metrics, "last_run_failed", cause="", **LABELS) == 0
    bad = metrics_of([replace(VIEW, last_run_failed=True, ready=False, cause="Timeout")])
    assert value(bad, "last_run_failed", cause="Timeout", **LABELS) == 1
    assert value(bad, "last_run_failed", cause="", **LABELS) is None  # one series a schedule
    assert value(bad, "schedule_ready", **LABELS) == 0


def test_runs_are_counted_by_result_and_reason_from_zero() -> None:
    """A counter that appears with its first failure would show no increase to Prometheus."""
    found = {
        (dict(labels)["result"], dict(labels)["reason"]): number
        for (name, labels), number in scrape(metrics_of([VIEW])).items()
        if name == "runs_total"
    }
    expected = {("Failed", reason.value): 0.0 for reason in FAILURE_REASONS}
    expected |= {("Skipped", reason.value): 0.0 for reason in SKIP_REASONS}
    expected |= {("Succeeded", ""): 40.0}
    assert found == expected | {("Failed", "Timeout"): 2.0}


def test_instants_that_there_are_not_are_absent() -> None:
    metrics = metrics_of([replace(VIEW, next_due=None, last_success=None)])
    names = {name for name, _ in scrape(metrics)}
    assert "next_due_timestamp_seconds" not in names
    assert "last_success_timestamp_seconds" not in names
    assert "late_after_seconds" in names


def test_schedules_come_and_go() -> None:
    views = [VIEW, replace(VIEW, name="weekly", queued=3)]
    metrics = metrics_of(views)
    assert value(metrics, "queue_depth") == 5
    del views[0]
    assert value(metrics, "queue_depth") == 3
    assert value(metrics, "queued_runs", **LABELS) is None
    views.clear()
    assert value(metrics, "queue_depth") == 0


def test_how_full_the_volume_of_a_namespace_is() -> None:
    """As the run says that ended last; a namespace without one says nothing."""
    views = [
        replace(VIEW, storage=StorageUse(SLOT + timedelta(minutes=5), 0.96)),
        replace(VIEW, name="weekly", storage=StorageUse(SLOT, 0.2)),
        replace(VIEW, name="monthly"),
        replace(VIEW, namespace="other", storage=StorageUse(SLOT, 0.1)),
        replace(VIEW, namespace="silent"),
    ]
    metrics = metrics_of(views)
    assert value(metrics, "storage_used_ratio", namespace="reports", team="reports") == 0.96
    assert value(metrics, "storage_used_ratio", namespace="other", team="other") == 0.1
    assert value(metrics, "storage_used_ratio", namespace="silent") is None


def test_the_newest_outcome_that_tells_of_the_volume_counts() -> None:
    entries = [
        make_entry("a", finished_at=SLOT, storage_used_percent=40),
        make_entry("b", finished_at=SLOT + timedelta(minutes=2), storage_used_percent=97),
        make_entry("c", finished_at=SLOT + timedelta(minutes=3)),  # its pod never ran
    ]
    assert storage_use(entries) == StorageUse(SLOT + timedelta(minutes=2), 0.97)
    assert storage_use(entries[2:]) is None


def test_stages_of_finished_runs() -> None:
    metrics = metrics_of([])
    entry = make_entry(queued_seconds=0, pending_seconds=4, run_seconds=240)
    metrics.run_recorded("reports", "daily", "critical", entry)
    metrics.run_recorded("reports", "daily", "critical", make_entry(queued_seconds=30))

    def stage(suffix: str, stage: str, **more: str) -> float | None:
        return value(metrics, f"run_stage_seconds_{suffix}", stage=stage, **RUN_LABELS, **more)

    assert [stage("count", name) for name in ("queued", "pending", "running")] == [2, 1, 1]
    assert [stage("sum", name) for name in ("queued", "pending", "running")] == [30, 4, 240]
    assert stage("bucket", "running", le="60.0") == 0
    assert stage("bucket", "running", le="300.0") == 1


def test_hits_of_the_cache_are_of_schedules_that_have_one() -> None:
    metrics = metrics_of([VIEW])
    for hits, misses in ((2, 0), (0, 2), (1, 1), (None, None)):
        entry = make_entry(cache_hits=hits, cache_misses=misses)
        metrics.run_recorded("reports", "daily", "critical", entry)
    metrics.run_recorded("reports", "other", "bulk", make_entry())
    found = [key for key in scrape(metrics) if key[0] == "source_cache_total"]
    assert len(found) == 2  # none for `other`
    for result in ("hit", "miss"):
        assert value(metrics, "source_cache_total", result=result, **RUN_LABELS) == 3


def test_operator_itself() -> None:
    metrics = metrics_of([])
    metrics.reconciled(SLOT)
    metrics.resynced(SLOT, up=True)
    assert value(metrics, "dependency_up", dependency="kubernetes") == 1
    later = SLOT + timedelta(minutes=2)
    metrics.resynced(later, up=False)
    assert value(metrics, "dependency_up", dependency="kubernetes") == 0
    assert value(metrics, "last_resync_timestamp_seconds") == SLOT.timestamp()
    assert value(metrics, "last_reconcile_timestamp_seconds") == SLOT.timestamp()


def test_dead_letters_and_dependencies() -> None:
    metrics = metrics_of([])
    assert value(metrics, "dead_letters") == 0
    metrics.dead_letters(7)
    metrics.dependency("redis", up=False)
    assert value(metrics, "dead_letters") == 7
    assert value(metrics, "dependency_up", dependency="redis") == 0


def test_writes_to_the_api_server_by_kind() -> None:
    """The lease is written all the time, and says nothing about schedules."""
    found = scrape(metrics_of([], jobs=3, cronjobs=1, leases=99))
    assert {
        dict(labels)["resource"]: number
        for (name, labels), number in found.items()
        if name == "api_writes_total"
    } == {"jobs": 3, "cronjobs": 1}


def test_a_backfill_by_state() -> None:
    counts = {"done": 3, "failed": 1, "skipped": 2, "running": 1, "left": 4}
    metrics = Metrics(list, lambda: [BackfillView("reports", "march", counts)], {})
    found = {
        dict(labels)["state"]: value
        for (name, labels), value in scrape(metrics).items()
        if name == "backfill_runs"
    }
    assert found == counts


def test_places_and_what_holds_the_queue() -> None:
    metrics = metrics_of([])
    runs = [active_run(uid="1", namespace="a"), active_run(uid="2", namespace="b"), make_run()]
    metrics.follow_admission(lambda: make_queue(runs, AdmissionLimits(overall=1), {"1"}), lambda: 3)
    assert value(metrics, "places") == 1
    assert value(metrics, "places_taken") == 1
    assert value(metrics, "runs_not_starting", namespace="a", team="a") == 1
    assert value(metrics, "runs_not_starting", namespace="b", team="b") is None
    assert value(metrics, "held_runs", hold="ScheduleBusy") == 0
    assert value(metrics, "held_runs", hold="OverallLimit") == 1
    assert value(metrics, "admission_refusals_total") == 3


def test_what_is_exported_is_counted_alike_for_each_signal() -> None:
    assert not any(name == "export_items_total" for name, _ in scrape(metrics_of([])))
    traces, lineage = ExportCounts(), ExportCounts()
    metrics = metrics_of([])
    metrics.follow_exports({"traces": traces, "lineage": lineage})
    assert value(metrics, "export_items_total", signal="lineage", result="dropped") == 0
    traces.sent, lineage.dropped = 7, 2
    for signal, sent, dropped in (("traces", 7, 0), ("lineage", 0, 2)):
        assert value(metrics, "export_items_total", signal=signal, result="sent") == sent
        assert value(metrics, "export_items_total", signal=signal, result="dropped") == dropped


def test_memory_is_that_of_the_newest_run_that_told() -> None:
    entries = [
        make_entry("a", finished_at=SLOT, memory_used_percent=97),
        make_entry("b", finished_at=SLOT + timedelta(minutes=2), memory_used_percent=40),
        make_entry("c", finished_at=SLOT + timedelta(minutes=3)),  # killed: it told nothing
    ]
    assert memory_used(entries) == 0.4
    assert memory_used(entries[2:]) is None
    told = metrics_of([replace(VIEW, memory_used=0.97), replace(VIEW, name="weekly")])
    assert value(told, "last_run_memory_used_ratio", **LABELS) == 0.97
    weekly = {**LABELS, "reportschedule": "weekly"}
    assert value(told, "last_run_memory_used_ratio", **weekly) is None


def test_history_that_is_refused_or_corrupted_is_counted_from_zero() -> None:
    metrics = metrics_of([])
    assert value(metrics, "history_refused_records") == 0
    assert value(metrics, "history_corruption_errors_total") == 0
    metrics.history_refused(lambda: 3)
    metrics.history_corrupted()
    assert value(metrics, "history_refused_records") == 3
    assert value(metrics, "history_corruption_errors_total") == 1
