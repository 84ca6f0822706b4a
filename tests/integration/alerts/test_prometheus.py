"""A real Prometheus, operator and API server: an alert fires, and is resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result
from tests.support.chart import Object
from tests.support.monitoring import PrometheusProcess

ALERT = "ReportSchedulerFailed"
FAILED = RunResult(
    outcome=Outcome.FAILED, reason=Reason.DATABASE_UNAVAILABLE, message="db.internal refuses"
)


@pytest.fixture
def scraped(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """A leading operator with metrics."""
    made = make_operator(metricsPort=free_port())
    made.start()
    made.wait_until_leading()
    return made


@pytest.fixture
def prometheus(tmp_path: Path, scraped: OperatorProcess) -> Iterator[PrometheusProcess]:
    made = PrometheusProcess(directory=tmp_path, target=scraped.settings["metricsPort"])
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def failing(namespace: Namespace, prometheus: PrometheusProcess) -> Object:
    """The alert of a schedule whose run has just failed."""
    namespace.apply("daily", tier="critical", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    selector = f'{{namespace="{namespace.name}"}}'
    wait_for(
        "the schedule is scraped",
        lambda: prometheus.query(f"report_scheduler_last_run_failed{selector} == 0"),
        60,
        prometheus.log,
    )
    prometheus.wait_for_evaluations()
    assert prometheus.firing(ALERT) == []
    namespace.start("daily", "bad")
    pod = namespace.pod_of("bad")
    namespace.end_pod(pod, exit_code=69, message=dump_result(FAILED))
    (alert,) = wait_for("it fires", lambda: prometheus.firing(ALERT), 90, prometheus.alerts)
    return alert


def succeed(namespace: Namespace) -> None:
    namespace.start("daily", "good")
    namespace.end_pod(namespace.pod_of("good"))
    wait_for("a success that is recorded", lambda: namespace.status("daily")["health"] == "Healthy")


def wait_until_it_is_over(prometheus: PrometheusProcess) -> None:
    wait_for("it is over", lambda: not prometheus.firing(ALERT), 90, prometheus.alerts)


def test_failure_alert_lasts_until_a_success(
    namespace: Namespace, prometheus: PrometheusProcess, failing: Object
) -> None:
    assert failing["labels"] == {
        "alertname": ALERT,
        "namespace": namespace.name,  # not that of the operator
        "reportschedule": "daily",
        "tier": "critical",
        "reason": "failed",
        "cause": "DatabaseUnavailable",
        "team": namespace.name,
        "severity": "sev3",
    }
    said = failing["annotations"]
    assert said["summary"] == f"Report {namespace.name}/daily failed: DatabaseUnavailable"
    assert f"kubectl -n {namespace.name} describe" in said["description"]

    succeed(namespace)
    wait_until_it_is_over(prometheus)
    assert prometheus.query("up") == [1]
    assert prometheus.query("report_scheduler_last_run_failed") == [0]


def test_suspended_schedule_fires_nothing(
    namespace: Namespace, prometheus: PrometheusProcess, failing: Object
) -> None:
    namespace.apply("daily", tier="critical", concurrencyPolicy="Allow", suspend=True)
    wait_until_it_is_over(prometheus)
    assert prometheus.query("report_scheduler_last_run_failed") == [1]
    namespace.apply("daily", tier="critical", concurrencyPolicy="Allow")
    wait_for("it fires again", lambda: prometheus.firing(ALERT), 90, prometheus.alerts)


def test_the_alert_outlives_the_operator(
    namespace: Namespace, prometheus: PrometheusProcess, scraped: OperatorProcess, failing: Object
) -> None:
    scraped.kill()
    wait_for("no scrape", lambda: prometheus.query("up") == [0], 60, prometheus.log)
    assert prometheus.query("report_scheduler_last_run_failed") == []
    prometheus.wait_for_evaluations(5)
    (still,) = prometheus.firing(ALERT)
    assert still["activeAt"] == failing["activeAt"]
    # When it will be late is known as well.
    late_at = "reportschedule:report_scheduler_late_at_timestamp_seconds:last > time()"
    assert len(prometheus.query(late_at)) == 1

    scraped.start()
    wait_for(
        "it tells again",
        lambda: prometheus.query("report_scheduler_last_run_failed"),
        60,
        scraped.log,
    )
    prometheus.wait_for_evaluations()
    (still,) = prometheus.firing(ALERT)
    assert still["activeAt"] == failing["activeAt"]
    succeed(namespace)
    wait_until_it_is_over(prometheus)
