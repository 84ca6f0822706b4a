"""Events of OpenLineage: what they say and what they do not, and a receiver that is lost."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from factories import MINUTE, SLOT, make_entry

from hack.testbed.waiting import wait_for
from report_operator.adapters.exports import RecordedRun, lineage_export
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.config import ENDPOINT, LineageConfig
from report_operator.domain.runs.lineage import LineageNames, lineage_of
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from tests.support.http_api import Reply, http_api

NAMES = LineageNames("reporting", "urn:adaf-report-scheduler:0.1.0")
CANARY = "canary-4711"
SECRET = {"secretRef": {"name": "report-db"}}
SOURCES = [
    {"name": "positions", "postgres": {"connection": SECRET, "query": f"SELECT '{CANARY}'"}},
    {"name": "orders", "sql": {"connection": SECRET, "query": f"SELECT '{CANARY}'"}},
    {
        "name": "rates",
        "http": {"url": f"https://u:{CANARY}@api.example.com:8443/{CANARY}?k={CANARY}"},
    },
    {"name": "other", "http": {"url": "https://{{ parameters.host }}/rows"}},
    {"name": "broken", "http": {"url": f"https://[{CANARY}/rows"}},
    {"name": "files", "object": {"bucket": "lake", "key": "day={{ report_date }}/*.parquet"}},
    {"name": "notes", "inline": {"rows": [{"a": CANARY}]}},
    {"name": "joined", "query": {"sql": f"SELECT '{CANARY}'"}},
]
ORDERS = "reports.daily.orders"
SPEC: dict[str, Any] = {"reportType": "positions", "report": {"sources": SOURCES}}


def entry(reason: Reason | None = None, **changes: Any) -> RecentRun:
    values = {
        "started_at": SLOT + MINUTE,
        "definition": "d1",
        "outputs": ["2026/11/24/a.pdf", "2026/11/24/a.csv", "2026/11/24/b.csv"],
        "message": CANARY,
        "tier": "critical",
    }
    return make_entry("job-1", reason, **{**values, **changes})


def events(run: RecentRun, current: str | None = "d1") -> list[dict[str, Any]]:
    return lineage_of(NAMES, "reports", "daily", SPEC, run, current)


def test_a_run_has_a_start_and_an_end_of_one_id() -> None:
    start, end = events(entry())
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["eventTime"] == format_time(SLOT + MINUTE)
    assert end["eventTime"] == format_time(SLOT + 5 * MINUTE)
    assert start["run"]["runId"] == end["run"]["runId"] == str(uuid.UUID(end["run"]["runId"]))
    assert events(entry())[0]["run"]["runId"] == start["run"]["runId"]  # told twice, it is one
    assert events(entry(attempt=2))[0]["run"]["runId"] != start["run"]["runId"]
    assert end["job"]["namespace"] == "reporting"
    assert end["job"]["name"] == "reports.daily"
    assert end["run"]["facets"]["nominalTime"]["nominalStartTime"] == format_time(SLOT)
    tags = {tag["key"]: tag["value"] for tag in end["run"]["facets"]["tags"]["tags"]}
    assert tags["run_id"] == "daily.20261124T050000Z.1"
    assert (tags["outcome"], tags["tier"]) == ("Succeeded", "critical")
    assert start["outputs"] == []
    assert [found["name"] for found in end["outputs"]] == ["reports.daily.csv", "reports.daily.pdf"]


def test_datasets_have_a_place_where_it_is_in_plain_sight() -> None:
    found = [(item["namespace"], item["name"]) for item in events(entry())[1]["inputs"]]
    assert found == [
        ("reporting", "reports.daily.positions"),
        ("reporting", "reports.daily.orders"),
        ("https://api.example.com:8443", "rates"),
        ("reporting", "reports.daily.other"),
        ("reporting", "reports.daily.broken"),
        ("s3://lake", "day={{ report_date }}/*.parquet"),
    ]


def test_a_source_that_is_only_waited_for_is_no_input() -> None:
    report = {"sources": SOURCES, "waitFor": {"source": "orders", "excludeSource": True}}
    found = lineage_of(NAMES, "reports", "daily", {**SPEC, "report": report}, entry(), "d1")
    assert [item["name"] for item in found[1]["inputs"]] == [
        item["name"] for item in events(entry())[1]["inputs"] if item["name"] != ORDERS
    ]
    report["waitFor"] = {"source": "orders"}
    asked = lineage_of(NAMES, "reports", "daily", {**SPEC, "report": report}, entry(), "d1")
    assert ORDERS in [item["name"] for item in asked[1]["inputs"]]


@pytest.mark.parametrize("current", ["d2", None])
def test_a_run_of_another_definition_names_no_inputs(current: str | None) -> None:
    assert [event["inputs"] for event in events(entry(), current)] == [[], []]
    assert [event["inputs"] for event in events(entry(definition=None), current)] == [[], []]


def test_a_failure_is_its_reason_and_nothing_of_the_data() -> None:
    _, end = events(entry(Reason.DATABASE_UNAVAILABLE))
    assert end["eventType"] == "FAIL"
    assert end["run"]["facets"]["errorMessage"]["message"] == "DatabaseUnavailable"
    skipped = entry(outcome=Outcome.SKIPPED, reason=Reason.UNCHANGED, outputs=[])
    for run in (entry(), entry(Reason.TIMEOUT), skipped):
        assert CANARY not in json.dumps(events(run))
    assert events(skipped)[1]["eventType"] == "COMPLETE"


@pytest.mark.parametrize(
    "changes", [{}, {"created_at": SLOT}, {"created_at": SLOT + timedelta(days=1)}]
)
def test_a_run_that_never_started_does_not_begin_after_its_end(changes: dict[str, Any]) -> None:
    start, end = events(entry(Reason.QUEUE_TIMEOUT, started_at=None, **changes))
    assert start["eventTime"] <= end["eventTime"]


def test_events_arrive_in_order_and_a_lost_receiver_stops_nothing() -> None:
    recorded = RecordedRun("reports", "daily", SPEC, entry(), "d1")
    with http_api() as api:
        api.on("/api/v1/lineage", Reply("", 503), Reply("", 201))
        export = lineage_export(f"{api.url}/api/v1/lineage", "reporting", "0.1.0")
        export.add(recorded)
        wait_for("both events", lambda: export.counts.sent == 2, 30)
        bodies = [json.loads(request.body) for request in api.requests]
        assert [body["eventType"] for body in bodies] == ["START", "START", "COMPLETE"]
        export.close()
    lost = lineage_export("http://127.0.0.1:9/api/v1/lineage", "reporting", "0.1.0")
    lost.add(recorded)
    lost.close()
    assert (lost.counts.sent, lost.counts.dropped) == (0, 2)


def test_the_operator_alone_says_where_events_go() -> None:
    assert LineageConfig().url == ""
    with pytest.raises(ValueError, match="url"):
        LineageConfig(url="file:///etc/passwd")
    assert ENDPOINT.startswith("^(https?")
