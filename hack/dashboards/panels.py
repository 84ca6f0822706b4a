"""What the dashboards show: every panel with its queries, each of which stands here once."""

from __future__ import annotations

from hack.dashboards.model import Dashboard, Panel

OVERVIEW = "report-scheduler"  # of the runbook: /d/report-scheduler/report-scheduler-overview
NAMESPACES = 'namespace=~"$namespace"'
SCHEDULE = 'namespace=~"$namespace", reportschedule=~"$reportschedule"'
LATE_AT = "reportschedule:report_scheduler_late_at_timestamp_seconds:last"
FAILED = "report_scheduler_last_run_failed"
RUN_SECONDS = "report_scheduler_run_stage_seconds_bucket"


def _stat(title: str, text: str, query: str, bad: float | None = 1, unit: str = "short") -> Panel:
    return Panel(title, text, [(query, title)], "stat", unit, 4, 4, bad)


def _quantiles(selector: str, by: str = "stage") -> list[tuple[str, str]]:
    rate = f"sum by (le, {by}) (rate({RUN_SECONDS}{{{selector}}}[$__rate_interval]))"
    return [
        (f"histogram_quantile({quantile}, {rate})", f"{{{{{by}}}}} p{int(quantile * 100)}")
        for quantile in (0.5, 0.95)
    ]


OVERVIEW_DASHBOARD = Dashboard(
    OVERVIEW,
    "Report Scheduler Overview",
    "What fails, what is late, what waits, and whether the scheduler itself is well.",
    [
        _stat(
            "Failing", "Reports whose newest slot failed for good.",
            f"sum(max by (namespace, reportschedule) ({FAILED}{{{NAMESPACES}}}))",
        ),
        _stat(
            "Late", "Reports that are not there spec.lateAfter after their slot.",
            f"count({LATE_AT}{{{NAMESPACES}}} < time()) or vector(0)",
        ),
        _stat(
            "Not ready", "Schedules whose definition is not in effect.",
            f"count(report_scheduler_schedule_ready{{{NAMESPACES}}} == 0) or vector(0)",
        ),
        _stat("Queue", "Runs that wait.", "max(report_scheduler_queue_depth)", 50),
        _stat(
            "Given up on", "Slots in the dead letter list.", "max(report_scheduler_dead_letters)",
            100,
        ),
        _stat(
            "Last resync", "Since the operator last compared its state with the API server.",
            "time() - max(report_scheduler_last_resync_timestamp_seconds)", 600, "s",
        ),
        Panel(
            "Failing reports", "Each with its cause and the team that is told.",
            [(
                "max by (namespace, reportschedule, tier, team, cause) "
                f"({FAILED}{{{NAMESPACES}}} == 1)", "",
            )],
            "table",
        ),
        Panel(
            "Alerts that fire", "Of the scheduler, as Prometheus has them.",
            [(
                "count by (alertname, reason, namespace, team) "
                '(ALERTS{alertname=~"ReportScheduler.+", alertstate="firing"})', "",
            )],
            "table",
        ),
        Panel(
            "Runs by result", "Finished runs in an hour.",
            [(
                f"sum by (result) (increase(report_scheduler_runs_total{{{NAMESPACES}}}[1h]))",
                "{{result}}",
            )],
            stacked=True,
        ),
        Panel(
            "Failures by reason", "Failed runs in an hour.",
            [(
                "sum by (reason) (increase(report_scheduler_runs_total"
                f'{{{NAMESPACES}, result="Failed"}}[1h])) > 0 or vector(0)', "{{reason}}",
            )],
            stacked=True,
        ),
        Panel(
            "Queue and places", "Runs that wait, that are active, and that may be.",
            [
                ("max(report_scheduler_queue_depth)", "waiting"),
                ("max(report_scheduler_places_taken)", "active"),
                ("max(report_scheduler_places)", "places"),
            ],
        ),
        Panel(
            "What holds runs back", "Waiting runs by what they wait for.",
            [("max by (hold) (report_scheduler_held_runs) > 0 or vector(0)", "{{hold}}")],
            stacked=True,
        ),
        Panel(
            "How long runs take", "Finished runs by stage.", _quantiles(NAMESPACES), unit="s",
        ),
        Panel(
            "Report volumes", "How full each was when a run last ended there.",
            [(
                f"max by (namespace) (report_scheduler_storage_used_ratio{{{NAMESPACES}}})",
                "{{namespace}}",
            )],
            unit="percentunit",
        ),
        Panel(
            "Sources that are down", "Reports that failed for it, by team and cause.",
            [(
                "sum by (namespace, team, cause) "
                f"(namespace_team_cause:report_scheduler_source_failures:count{{{NAMESPACES}}}) "
                "or vector(0)", "{{namespace}} {{team}} {{cause}}",
            )],
        ),
        Panel(
            "Dependencies", "1 while it answers.",
            [("min by (dependency) (report_scheduler_dependency_up)", "{{dependency}}")],
        ),
        Panel(
            "Memory of operator, API and runs", "Of the limit; from cAdvisor, where it is scraped.",
            [(
                "max by (namespace, pod, container) "
                "(namespace_pod_container:report_scheduler_memory_used:ratio)",
                "{{namespace}}/{{pod}}",
            )],
            unit="percentunit",
        ),
        Panel(
            "The operator's own memory", "As the operator tells of itself.",
            [
                (
                    "max by (pod) (process_resident_memory_bytes "
                    "and report_scheduler_cpu_limit_cores)", "used {{pod}}",
                ),
                ("max(report_scheduler_memory_limit_bytes)", "limit"),
            ],
            unit="bytes",
        ),
        Panel(
            "The operator's own CPU", "As the operator tells of itself.",
            [(
                "max by (pod) (rate(process_cpu_seconds_total[$__rate_interval]) "
                "and report_scheduler_cpu_limit_cores)", "{{pod}}",
            )],
        ),
        Panel(
            "History", "Outcomes that wait for PostgreSQL, and that it does not take.",
            [
                ("max(report_scheduler_history_pending_records)", "pending"),
                ("max(report_scheduler_history_refused_records)", "refused"),
                (
                    "sum(increase(report_scheduler_history_corruption_errors_total[1h]))",
                    "corruption in 1 h",
                ),
            ],
        ),
        Panel(
            "Writes to the API server", "Per second.",
            [(
                "sum by (resource) (rate(report_scheduler_api_writes_total[$__rate_interval]))",
                "{{resource}}",
            )],
        ),
        Panel(
            "Traces and lineage", "Spans and events in an hour that their receiver did not take.",
            [(
                "sum by (signal) "
                '(increase(report_scheduler_export_items_total{result="dropped"}[1h])) '
                "or on () vector(0)", "{{signal}}",
            )],
        ),
    ],
    ("namespace",),
    (("Schedule", f"{OVERVIEW}-schedule"), ("Runs", f"{OVERVIEW}-runs")),
)  # fmt: skip

SCHEDULE_DASHBOARD = Dashboard(
    f"{OVERVIEW}-schedule",
    "Report Scheduler Schedule",
    "One report: when it is due, when it was last there, why it failed.",
    [
        _stat(
            "Failing", "1 where its newest slot failed for good.",
            f"max({FAILED}{{{SCHEDULE}}})",
        ),
        _stat(
            "Ready", "1 while its definition is in effect.",
            f"min(report_scheduler_schedule_ready{{{SCHEDULE}}})", None,
        ),
        _stat(
            "Next due in", "Below zero: it is due and not there.",
            f"min(report_scheduler_next_due_timestamp_seconds{{{SCHEDULE}}}) - time()", None, "s",
        ),
        _stat(
            "Late in", "Below zero: it is late.", f"min({LATE_AT}{{{SCHEDULE}}}) - time()", None,
            "s",
        ),
        _stat(
            "Last success", "Since a run last succeeded.",
            f"time() - max(report_scheduler_last_success_timestamp_seconds{{{SCHEDULE}}})", None,
            "s",
        ),
        _stat(
            "Missed slots", "Slots without a run that none will be made for.",
            f"sum(report_scheduler_missed_slots_total{{{SCHEDULE}}})",
        ),
        Panel(
            "Runs by result", "Finished runs in a day.",
            [(
                "sum by (result, reason) "
                f"(increase(report_scheduler_runs_total{{{SCHEDULE}}}[1d]) > 0) or vector(0)",
                "{{result}} {{reason}}",
            )],
            stacked=True,
        ),
        Panel(
            "Runs now", "That wait, that wait for data, that are active.",
            [
                (f"sum(report_scheduler_queued_runs{{{SCHEDULE}}})", "queued"),
                (f"sum(report_scheduler_runs_waiting_for_data{{{SCHEDULE}}})", "wait for data"),
                (f"sum(report_scheduler_active_runs{{{SCHEDULE}}})", "active"),
            ],
        ),
        Panel(
            "How long runs take", "Finished runs by stage.", _quantiles(SCHEDULE), unit="s",
        ),
        Panel(
            "Failure and cause", "Which cause stands, over time.",
            [(f"max by (cause) ({FAILED}{{{SCHEDULE}}})", "{{cause}}")],
        ),
        Panel(
            "Memory of the newest run", "Most that it used, of its limit.",
            [(
                "max by (reportschedule) "
                f"(report_scheduler_last_run_memory_used_ratio{{{SCHEDULE}}})",
                "{{reportschedule}}",
            )],
            unit="percentunit",
        ),
        Panel(
            "Warnings of the newest report", "Checks of its rows that did not pass.",
            [(
                "max by (reportschedule) "
                f"(report_scheduler_last_report_warnings{{{SCHEDULE}}})", "{{reportschedule}}",
            )],
        ),
    ],
    ("namespace", "reportschedule"),
    (("Overview", OVERVIEW), ("Runs", f"{OVERVIEW}-runs")),
)  # fmt: skip

RUNS_DASHBOARD = Dashboard(
    f"{OVERVIEW}-runs",
    "Report Scheduler Runs",
    "Runs of all reports: how many, how long in which stage, with what.",
    [
        _stat(
            "Active", "Admitted and not finished.",
            f"sum(report_scheduler_active_runs{{{NAMESPACES}}})", None,
        ),
        _stat(
            "Queued", "Wait for admission.", f"sum(report_scheduler_queued_runs{{{NAMESPACES}}})",
            50,
        ),
        _stat(
            "Wait for data", "Between two checks.",
            f"sum(report_scheduler_runs_waiting_for_data{{{NAMESPACES}}})", None,
        ),
        _stat(
            "Do not start", "Admitted, without a pod that runs.",
            "sum(report_scheduler_runs_not_starting) or vector(0)",
        ),
        _stat(
            "Refused", "Times that the API server refused to let a run start, in a day.",
            "sum(increase(report_scheduler_admission_refusals_total[1d]))",
        ),
        _stat(
            "Success", "Of the runs of a day that were to send.",
            f'sum(increase(report_scheduler_runs_total{{{NAMESPACES}, result="Succeeded"}}[1d])) / '
            f'(sum(increase(report_scheduler_runs_total{{{NAMESPACES}, '
            'result=~"Succeeded|Failed"}[1d])) > 0)',
            None, "percentunit",
        ),
        *(
            Panel(
                f"Time {stage}", text,
                _quantiles(f'{NAMESPACES}, stage="{stage}"', "tier"), unit="s",
            )
            for stage, text in (
                ("queued", "Until it was admitted, by tier."),
                ("pending", "From admission until its pod ran, by tier."),
                ("running", "All its tries together, by tier."),
            )
        ),
        Panel(
            "Slowest reports", "Running, p95 over an hour.",
            [(
                "topk(10, histogram_quantile(0.95, sum by (le, namespace, reportschedule) "
                f'(rate({RUN_SECONDS}{{{NAMESPACES}, stage="running"}}[1h]))))',
                "{{namespace}}/{{reportschedule}}",
            )],
            unit="s",
        ),
        Panel(
            "Memory of runs", "Most of the newest run that told, of its limit.",
            [(
                "topk(10, max by (namespace, reportschedule) "
                f"(report_scheduler_last_run_memory_used_ratio{{{NAMESPACES}}}))",
                "{{namespace}}/{{reportschedule}}",
            )],
            unit="percentunit",
        ),
        Panel(
            "Backfills", "Slots by state.",
            [(
                "sum by (namespace, reportbackfill, state) "
                f"(report_scheduler_backfill_runs{{{NAMESPACES}}}) or vector(0)",
                "{{namespace}}/{{reportbackfill}} {{state}}",
            )],
            stacked=True,
        ),
    ],
    ("namespace",),
    (("Overview", OVERVIEW), ("Schedule", f"{OVERVIEW}-schedule")),
)  # fmt: skip

DASHBOARDS = (OVERVIEW_DASHBOARD, SCHEDULE_DASHBOARD, RUNS_DASHBOARD)
