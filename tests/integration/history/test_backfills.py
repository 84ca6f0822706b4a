"""A backfill skips runs that only history has, long after status has dropped them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.postgres import PostgresServer
from hack.testbed.waiting import wait_for
from report_operator.adapters.postgres.database import read_conninfo
from tests.support.backfills import Backfills, Kubelet

DAYS = 5


def test_runs_in_history_are_not_missing(
    namespace: Namespace,
    own_server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> None:
    secret = own_server.make_database(tmp_path)
    operator = make_operator(
        postgresSecret=str(secret),
        history={"keepSucceededJobs": 0, "keepFailedJobs": 0, "keepOutcomes": 1},
    )
    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily", schedule="0 6 * * *", suspend=True, concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    backfills, kubelet = Backfills(namespace), Kubelet(namespace)
    backfills.ask("first", "2024-03-01", f"2024-03-0{DAYS}")
    kubelet.work_until("it is over", lambda: backfills.status("first").get("state") == "Succeeded")

    def recorded() -> int:
        with psycopg.connect(read_conninfo(secret, "tests", 10)) as connection:
            found = connection.execute("SELECT count(*) FROM report_scheduler.runs").fetchone()
        return found[0] if found else 0

    wait_for("all are in history", lambda: recorded() == DAYS)
    wait_for("status forgets them", lambda: len(namespace.status("daily")["recentRuns"]) == 1, 60)
    own_server.stop()
    backfills.ask("again", "2024-03-01", f"2024-03-0{DAYS + 1}")
    backfills.wait_for("again", state="Waiting")
    assert backfills.condition("again", "Ready")["reason"] == "HistoryUnavailable"
    own_server.start()
    kubelet.work_until("it is over", lambda: backfills.status("again").get("state") == "Succeeded")
    status = backfills.status("again")
    assert (status["done"], status["skipped"]) == (1, DAYS)
    assert len(kubelet.ended) == DAYS + 1
