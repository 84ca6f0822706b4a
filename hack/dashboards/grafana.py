"""A dashboard as Grafana reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hack.dashboards.model import Dashboard, Panel
from hack.dashboards.panels import NAMESPACES

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
Object = dict[str, Any]


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
