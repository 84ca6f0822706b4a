"""Steps and readings that the tests of the Redis lists share."""

from __future__ import annotations

from typing import Any

from hack.testbed.namespace import SCHEDULES, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result
from tests.support.monitoring import sample
from tests.support.redis import RedisServer

FAILED = dump_result(
    RunResult(
        outcome=Outcome.FAILED, reason=Reason.DATABASE_UNAVAILABLE, message="db.internal refuses"
    )
)


def wait_for_list(server: RedisServer, name: str, *schedules: str) -> list[dict[str, Any]]:
    """The list once its elements are of just these schedules, in this order."""
    wait_for(
        f"{name}: {schedules}",
        lambda: [e["schedule"] for e in server.elements(name)] == list(schedules),
        60,
        lambda: server.elements(name),
    )
    return server.elements(name)


def fail(namespace: Namespace, schedule: str, job: str) -> None:
    """Start a run and let it fail for good, until its outcome is recorded."""
    if not namespace.find(SCHEDULES, "reportschedules", schedule):
        namespace.apply(schedule, reportType=f"type_{schedule}", concurrencyPolicy="Allow")
        namespace.wait_until_observed(schedule)
    before = namespace.status(schedule).get("runCounts", {}).get("DatabaseUnavailable", 0)
    namespace.start(schedule, job)
    namespace.end_pod(namespace.pod_of(job), exit_code=69, message=FAILED)
    wait_for(
        "its outcome",
        lambda: (
            namespace.status(schedule).get("runCounts", {}).get("DatabaseUnavailable") == before + 1
        ),
        60,
        lambda: namespace.status(schedule),
    )


def dead_letters(operator: OperatorProcess) -> float | None:
    return sample(operator.settings["metricsPort"], "report_scheduler_dead_letters")


def redis_up(operator: OperatorProcess) -> float | None:
    name = 'report_scheduler_dependency_up{dependency="redis"}'
    return sample(operator.settings["metricsPort"], name)
