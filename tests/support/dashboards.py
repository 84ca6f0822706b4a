"""The queries of the chart's Grafana dashboards, with their variables filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hack.dashboards.grafana import filled_in
from hack.testbed.waiting import wait_for
from tests.support.chart import CHART, Object
from tests.support.monitoring import PrometheusApi

DIRECTORY = CHART / "files" / "dashboards"
NEEDS_CADVISOR = "namespace_pod_container:"
WHAT_IS_WRONG = ("Failing reports", "Alerts that fire")  # panels without a row where nothing is


@dataclass(frozen=True, slots=True)
class Query:
    dashboard: str
    panel: str
    expression: str
    legend: str
    unit: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expression}"

    def filled_in(self, variables: Mapping[str, str]) -> str:
        return filled_in(self.expression, variables)


def dashboards() -> list[Object]:
    return [json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))]


def queries() -> list[Query]:
    return [query for dashboard in dashboards() for query in _of(dashboard)]


def _of(dashboard: Object) -> Iterator[Query]:
    for panel in dashboard["panels"]:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            yield Query(
                dashboard["uid"], panel["title"], target["expr"], target["legendFormat"], unit
            )


def wait_until_queries_have_series(
    prometheus: PrometheusApi, variables: Mapping[str, str], *, wrong: bool, cadvisor: bool = False
) -> None:
    """Those of the panels that say what is wrong, or every other query of the dashboards."""
    chosen = {
        str(query): query.filled_in(variables)
        for query in queries()
        if (query.panel in WHAT_IS_WRONG) is wrong
        and (cadvisor or NEEDS_CADVISOR not in query.expression)
    }
    assert len(chosen) > (1 if wrong else 40)

    def empty() -> list[str]:
        return [name for name, text in chosen.items() if not prometheus.query(text)]

    wait_for("every query has series", lambda: not empty(), 90, empty)
