"""A run's spans arrive at a real OpenTelemetry Collector, hold no data, and hold up no run."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PASSWORD
from test_run import BOARD, QUERY, board, here, mailing

from hack.testbed.collector import Collector, ReceivedSpan, collector
from hack.testbed.waiting import wait_for
from report_runner.contract import pod, traces
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.result import Outcome
from tests.support.runner import RUN_ID, Pod

__all__ = ["here"]  # a fixture

JOB_ID = f"reports.{RUN_ID}"
TRACE = traces.trace_id(JOB_ID)


@pytest.fixture(scope="module")
def receiving() -> Iterator[Collector]:
    with collector() as made:
        yield made


def told(endpoint: str) -> dict[str, str]:
    return {
        pod.ENV_OTLP_ENDPOINT: endpoint,
        pod.ENV_NAMESPACE: "reports",
        pod.ENV_POD_NAME: "positions-1-abcde",
        # What an SDK would read, and nothing here does.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }


def tree(spans: list[ReceivedSpan]) -> dict[str, str]:
    """Each span with the name of its parent; those of a kind by their own name."""
    ids = {span.wire["spanId"]: span.name for span in spans}
    assert len(ids) == len(spans)
    named = {f"{s.name} {s.attributes.get(traces.NAME, '')}".strip(): s for s in spans}
    return {
        name: ids.get(span.wire["parentSpanId"], span.wire["parentSpanId"])
        for name, span in named.items()
    }


def test_the_trace_of_a_run_and_its_log(here: Pod, receiving: Collector) -> None:
    receiving.bodies.clear()
    with mailing(here) as mails:
        here.define(QUERY, board())
        code, result, log = here.run(**told(receiving.endpoint))
    assert (code, result.outcome) == (0, Outcome.SUCCEEDED)
    spans = receiving.spans(TRACE)
    assert len(spans) == len(receiving.spans())
    assert tree(spans) == {
        "runner": traces.span_id(JOB_ID, traces.POD),
        "definition": "runner",
        "sources": "runner",
        "source positions": "sources",
        "checks": "runner",
        "render": "runner",
        "format pdf": "render",
        "format csv": "render",
        "store": "runner",
        "deliver": "runner",
        "channel email": "deliver",
        "prune": "runner",
    }
    by_name = {span.name: span for span in spans}
    whole = by_name["runner"]
    assert whole.resource["service.name"] == "report-generator"
    assert whole.attributes | {"report.rows": 13} == whole.attributes | {
        "report.run_id": RUN_ID,
        "report.job_id": JOB_ID,
        "k8s.namespace.name": "reports",
        "k8s.pod.name": "positions-1-abcde",
        "report.outcome": "Succeeded",
        "report.rows": 13,
    }
    assert by_name["channel"].attributes["report.targets.sent"] == 2
    assert by_name["source"].attributes["report.rows"] == 13
    # The same run in the log and in the mail.
    lines = [json.loads(line) for line in log.splitlines()]
    assert {(line["run"], line["namespace"], line["trace_id"]) for line in lines} == {
        (RUN_ID, "reports", TRACE)
    }
    assert {mail["X-Report-Run"] for _, mail in mails} == {RUN_ID}
    # Neither query, nor row, nor recipient, nor subject, nor credentials.
    sent = b"\n".join(receiving.bodies).decode()
    for canary in ("SELECT", "ISIN", "amount", PASSWORD, "reader", "Positions", *BOARD):
        assert canary not in sent, canary


def test_a_failed_run_says_where_and_no_more(here: Pod, receiving: Collector) -> None:
    receiving.bodies.clear()
    here.define("SELECT 'canary-of-a-row' AS a, 1 / 0 AS b")
    code, result, log = here.run(**told(receiving.endpoint))
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR]
    failed = {span.name for span in receiving.spans(TRACE) if span.wire["status"].get("code") == 2}
    assert failed == {"runner", "sources", "source"}
    messages = {span.wire["status"].get("message", "") for span in receiving.spans(TRACE)}
    assert messages == {"", "ConfigurationError"}
    assert "division" in result.message
    sent = b"\n".join(receiving.bodies).decode()
    for canary in ("canary", "division", "SELECT"):
        assert canary not in sent
    assert all(json.loads(line)["run"] == RUN_ID for line in log.splitlines())


@contextmanager
def _black_hole() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _unconnectable() -> Iterator[str]:
    """Its queue of connections is full: to connect takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        held = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            held.append(one)
        yield f"http://127.0.0.1:{address[1]}"
        for one in held:
            one.close()


@pytest.mark.parametrize("lost", [_black_hole, _unconnectable])
def test_a_collector_that_is_lost_neither_delays_nor_fails_a_run(here: Pod, lost: Any) -> None:
    here.define(QUERY)
    with lost() as endpoint, here.start(**told(endpoint)) as process:
        wait_for("the result", lambda: here.termination_log.read_text(), 60)
        begin = time.monotonic()
        _, log = process.communicate(timeout=60)
        took = time.monotonic() - begin
    assert (process.returncode, here.result().outcome) == (0, Outcome.SUCCEEDED)
    # Half a second at most for the collector; the rest is the interpreter's own end.
    assert took < 3, log
    assert "spans of the trace were not exported" in log
    assert len(here.files()) == 3


def test_what_is_no_setting_of_the_pod_starts_no_trace(here: Pod, tmp_path: Path) -> None:
    """An author reaches no environment; a Secret or a parameter of that name means nothing."""
    (here.secrets / "report-db" / pod.ENV_OTLP_ENDPOINT).write_text("http://127.0.0.1:9")
    here.define(QUERY, parameters={pod.ENV_OTLP_ENDPOINT: "http://127.0.0.1:9"})
    code, _, log = here.run(**{pod.ENV_NAMESPACE: "reports"})
    assert code == 0
    assert "trace" not in log
