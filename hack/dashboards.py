"""The chart's Grafana dashboards: `python3 -m hack.dashboards` writes them, `--check` compares.

Every query stands here once; tests run each against a Prometheus that has the chart's rules.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "charts" / "adaf-report-scheduler" / "files" / "dashboards"
OVERVIEW = "report-scheduler"  # of the runbook: /d/report-scheduler/report-scheduler-overview
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
Object = dict[str, Any]

NAMESPACES = 'namespace=~"$namespace"'
SCHEDULE = 'namespace=~"$namespace", reportschedule=~"$reportschedule"'
LATE_AT = "reportschedule:report_scheduler_late_at_timestamp_seconds:last"
FAILED = "report_scheduler_last_run_failed"
RUN_SECONDS = "report_scheduler_run_stage_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries` are pairs of PromQL and legend; `height` and `width` in Grafana's grid."""

    title: str
    description: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"  # stat, table
    unit: str = "short"
    width: int = 12
    height: int = 8
    bad: float | None = None  # from here on a stat is red
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    panels: Sequence[Panel]
    variables: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = field(default_factory=tuple)  # title, uid

    @property
    def path(self) -> Path:
        return DIRECTORY / f"{self.uid}.json"


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


def render(dashboard: Dashboard) -> str:
    body: Object = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["report-scheduler"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {"type": "link", "title": title, "url": f"/d/{uid}", "keepTime": True,
             "includeVars": True}
            for title, uid in dashboard.links
        ],
        "templating": {"list": [_source(), *map(_variable, dashboard.variables)]},
        "panels": [
            _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height})
            for number, (panel, (x, y)) in enumerate(positions(dashboard.panels), 1)
        ],
    }  # fmt: skip
    return json.dumps(body, indent=1) + "\n"


def _source() -> Object:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }


def _variable(name: str) -> Object:
    metric = "report_scheduler_schedule_ready"
    within = f"{{{NAMESPACES}}}" if name != "namespace" else ""
    query = f"label_values({metric}{within}, {name})"
    return {
        "name": name,
        "label": {"namespace": "Namespace", "reportschedule": "Schedule"}[name],
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "A"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }


def positions(panels: Sequence[Panel]) -> list[tuple[Panel, tuple[int, int]]]:
    """Each panel with its left and top, in Grafana's grid."""
    placed, x, y, row = [], 0, 0, 0
    for panel in panels:
        if x + panel.width > WIDTH:
            x, y, row = 0, y + row, 0
        placed.append((panel, (x, y)))
        x, row = x + panel.width, max(row, panel.height)
    return placed


def filled_in(expression: str, variables: Mapping[str, str]) -> str:
    """A query as Grafana sends it. Raises ValueError for a variable without a value."""
    text = expression
    for name, value in {"__rate_interval": "5m", **variables}.items():
        text = re.sub(rf"\$(\{{{name}\}}|{name}\b)", lambda _, v=value: v, text)
    if "$" in text:
        raise ValueError(f"a variable has no value: {text}")
    return text


def _panel(panel: Panel, number: int, at: Object) -> Object:
    table = panel.kind == "table"
    steps: list[Object] = [{"color": "green", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    defaults: Object = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults["min"] = 0
        if panel.stacked:
            defaults["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    body: Object = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": table or panel.kind == "stat",
                "range": not (table or panel.kind == "stat"),
                **({"format": "table"} if table else {}),
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
    if table:
        hidden = {"Time": True, "Value": True}
        body["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    if panel.kind == "stat":
        body["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    return body


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m hack.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where a file differs")
    check = parser.parse_args().check
    stale = [d for d in DASHBOARDS if not d.path.exists() or d.path.read_text() != render(d)]
    for dashboard in stale:
        if check:
            print(f"{dashboard.path.relative_to(ROOT)} differs: python3 -m hack.dashboards")
        else:
            dashboard.path.write_text(render(dashboard))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
