"""The operator's spans at a real collector: one trace for each run, joined by the runs' ids."""

from __future__ import annotations

import json
from collections.abc import Callable

from hack.testbed.collector import collector
from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from report_runner.contract import pod, traces
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result
from tests.support.http_api import Reply, http_api
from tests.support.monitoring import sample

SAID = RunResult(
    outcome=Outcome.FAILED, reason=Reason.CONFIGURATION_ERROR, message="canary@example.com"
)


def exported(operator: OperatorProcess, signal: str, result: str) -> float | None:
    name = f'report_scheduler_export_items_total{{result="{result}",signal="{signal}"}}'
    return sample(operator.settings["metricsPort"], name)


def test_a_run_has_one_trace_and_its_lines_have_its_id(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    with collector() as receiving, http_api() as api:
        api.on("/api/v1/lineage", Reply("", 201))
        operator = make_operator(
            tracing={"endpoint": receiving.endpoint},
            lineage={"url": f"{api.url}/api/v1/lineage"},
            metricsPort=free_port(),
        )
        operator.start()
        operator.wait_until_leading()
        source = {"name": "facts", "http": {"url": "https://api.example.com/canary"}}
        namespace.apply("daily", report=report(sources=[source]))
        namespace.wait_until_observed("daily")
        namespace.start("daily", "run-1")
        body = namespace.pod_of("run-1")
        (container,) = body["spec"]["containers"]
        variables = {item["name"]: item.get("value") for item in container["env"]}
        assert variables[pod.ENV_OTLP_ENDPOINT] == receiving.endpoint
        run = body["metadata"]["annotations"][names.ANNOTATION_RUN_ID]
        identity = f"{namespace.name}.{run}"
        namespace.end_pod(body, 78, dump_result(SAID))
        trace = traces.trace_id(identity)
        spans = wait_for(
            "the trace",
            lambda: {span.name: span for span in receiving.spans(trace)},
            60,
            lambda: (receiving.bodies, namespace.status("daily")),
        )
        assert {"report run", "admission", "pod"} <= set(spans)
        whole = spans["report run"]
        assert whole.wire["spanId"] == traces.span_id(identity, traces.RUN)
        assert whole.wire["status"] == {"code": 2, "message": "ConfigurationError"}
        assert whole.attributes["report.run_id"] == run
        assert whole.resource["service.name"] == "report-scheduler"
        # The parent that the runner of this run names, without having been told.
        assert spans["pod"].wire["spanId"] == traces.span_id(identity, traces.POD)
        assert b"canary" not in b"".join(receiving.bodies)
        wait_for("events of lineage", lambda: len(api.requests) == 2, 30)
        events = [json.loads(request.body) for request in api.requests]
        assert [event["eventType"] for event in events] == ["START", "FAIL"]
        for event in events:
            (read,) = event["inputs"]
            assert (read["namespace"], read["name"]) == ("https://api.example.com", "facts")
        assert "canary" not in json.dumps(events)
        # A span or an event is counted once its receiver has answered, shortly after it has it.
        for signal, count in (("lineage", 2), ("traces", len(spans))):
            wait_for(
                f"{signal} in the metrics",
                lambda signal=signal, count=count: exported(operator, signal, "sent") == count,
                30,
            )
        assert exported(operator, "traces", "dropped") == 0
        lines = [json.loads(line) for line in operator.log_file.read_text().splitlines()]
        told = {line["message"].split()[-1] for line in lines if line.get("run") == run}
        assert {"admitted", "ConfigurationError"} <= told
        assert {line["trace_id"] for line in lines if line.get("run") == run} == {trace}


def test_lost_receivers_keep_no_outcome_back_and_are_told_of(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    with http_api() as api:
        api.on("/api/v1/lineage", Reply("", 400))
        operator = make_operator(
            tracing={"endpoint": "http://127.0.0.1:1"},
            lineage={"url": f"{api.url}/api/v1/lineage"},
            metricsPort=free_port(),
        )
        operator.start()
        operator.wait_until_leading()
        assert exported(operator, "lineage", "dropped") == 0
        namespace.apply("daily")
        namespace.wait_until_observed("daily")
        namespace.start("daily", "run-1")
        namespace.end_pod(namespace.pod_of("run-1"), 78, dump_result(SAID))
        wait_for("the outcome", lambda: namespace.status("daily").get("lastFailure"), 60)
        for signal, what in (("lineage", "events of lineage"), ("traces", "spans of traces")):
            wait_for(
                f"a line about {what}",
                lambda what=what: f"{what} are not taken" in operator.log_file.read_text(),
                30,
            )
            wait_for(
                f"{signal} in the metrics",
                lambda signal=signal: exported(operator, signal, "dropped"),
                30,
                lambda: (operator.log(), api.requests),
            )
            assert exported(operator, signal, "sent") == 0
        assert exported(operator, "lineage", "dropped") == 2
    assert operator.terminate() == 0
