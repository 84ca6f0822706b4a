"""The chart's Grafana dashboards: what a linter of dashboards asks for, and what ours needs."""

from __future__ import annotations

import re

import pytest

from hack.dashboards.grafana import WIDTH, render
from hack.dashboards.panels import DASHBOARDS
from tests.support.chart import ROOT, Object
from tests.support.dashboards import dashboards, queries

RULES = (ROOT / "charts/adaf-report-scheduler/files/rules.yaml").read_text()
METRICS = "".join(
    (ROOT / f"operator/report_operator/{name}.py").read_text() for name in ("metrics", "collectors")
)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda d: d.uid)
def test_files_are_what_the_code_makes(dashboard: object) -> None:
    assert dashboard.path.read_text() == render(dashboard), "python3 -m hack.dashboards"  # type: ignore[attr-defined]


def test_the_runbook_links_to_the_overview() -> None:
    found = re.findall(
        r"/d/(report-scheduler[\w-]*)/([\w-]+)\)", (ROOT / "docs/runbook.md").read_text()
    )
    slugs = {d["uid"]: d["title"].lower().replace(" ", "-") for d in dashboards()}
    assert ("report-scheduler", "report-scheduler-overview") in found
    assert all(slugs[uid] == slug for uid, slug in found)


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d["uid"])
def test_dashboard_is_sound(dashboard: Object) -> None:
    """As grafana/dashboard-linter: data source by variable, titles, units, legends, no overlap."""
    variables = {item["name"] for item in dashboard["templating"]["list"]}
    assert "datasource" in variables
    used = set(
        re.findall(
            r"\$\{?(\w+)", " ".join(q["expr"] for p in dashboard["panels"] for q in p["targets"])
        )
    )
    assert used - {"__rate_interval"} == variables - {"datasource"}
    taken: set[tuple[int, int]] = set()
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)
    assert [panel["id"] for panel in dashboard["panels"]] == list(range(1, len(titles) + 1))
    uids = {item["uid"] for item in dashboards()}
    assert {link["url"].removeprefix("/d/") for link in dashboard["links"]} <= uids
    for panel in dashboard["panels"]:
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        cells = {
            (at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert at["x"] + at["w"] <= WIDTH
        legends = [target["legendFormat"] for target in panel["targets"]]
        if panel["type"] == "timeseries":
            assert all(legends), panel["title"]
            assert len(set(legends)) == len(legends)


@pytest.mark.parametrize("query", queries(), ids=str)
def test_query_names_what_there_is(query: object) -> None:
    """Every metric is the operator's or a rule's, so that a renamed one is noticed."""
    text = query.filled_in({"namespace": ".+", "reportschedule": ".+"})  # type: ignore[attr-defined]
    for name in re.findall(r"[a-z_]*(?::[a-z_]+)*:?report_scheduler_[a-z_:]+", text):
        if ":" in name:
            assert f"record: {name}" in RULES, name
        else:
            short = re.sub(r"_(total|bucket)$", "", name.removeprefix("report_scheduler_"))
            assert re.search(rf'["_]{short}"', METRICS), name
    if "rate(" in text or "increase(" in text:
        assert re.search(r"(rate|increase)\([a-z_]+_(total|bucket)", text), text
