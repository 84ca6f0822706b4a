"""The drill: what a lost database and a lost cluster cost, and when they are back."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hack.testbed.admin_api import ApiProcess
from hack.testbed.controlplane import ControlPlane, control_plane
from hack.testbed.history import fill
from hack.testbed.namespace import CORE, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.postgres import HOST, PostgresServer, postgres_server
from hack.testbed.waiting import wait_for
from report_operator.adapters.postgres.database import read_conninfo
from tests.support.backfills import OVER, Backfills, Kubelet

OTHERS = 50_000  # rows of other schedules
RTO = 2 * 3600.0  # of the runbook, in seconds
DAILY = "0 6 * * *"


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        yield made


def client(server: PostgresServer, program: str, *arguments: str) -> None:
    where = ["-h", HOST, "-p", str(server.port), "-U", "postgres"]
    done = subprocess.run(
        [program, *where, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def dump(server: PostgresServer, secret: Path, file: Path) -> None:
    client(server, "pg_dump", "-Fc", f"--file={file}", secret.name)


def restore(server: PostgresServer, secret: Path, file: Path) -> None:
    """As docs/operations.md has it: into a database that the operator may have made anew."""
    client(server, "pg_restore", "-d", secret.name, "--clean", "--if-exists", str(file))


def lose(server: PostgresServer, secret: Path) -> None:
    """The database is gone, and there is an empty one in its place."""
    with server.admin() as admin:
        admin.execute(f"DROP DATABASE {secret.name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {secret.name} OWNER {secret.name}")


def recorded(secret: Path) -> list[tuple[Any, ...]]:
    """Job, outcome and uid of the runs of `daily`; none where there is no table."""
    try:
        with psycopg.connect(read_conninfo(secret, "tests", 10)) as connection:
            return connection.execute(
                "SELECT job, outcome, job_uid FROM report_scheduler.runs "
                "WHERE schedule = 'daily' ORDER BY job"
            ).fetchall()
    except psycopg.Error:
        return []


def fill_up(server: PostgresServer, secret: Path) -> None:
    with server.admin(secret.name) as admin:
        fill(admin, OTHERS, timedelta(days=30), datetime.now(UTC))


def count_all(server: PostgresServer, secret: Path) -> int:
    with server.admin(secret.name) as admin:
        row = admin.execute("SELECT count(*) FROM report_scheduler.runs").fetchone()
    return int(row[0]) if row else 0


def test_an_older_dump_and_no_dump_at_all(
    namespace: Namespace,
    own_server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What status and Jobs still tell is recorded again, by the operator that is running."""
    secret = own_server.make_database(tmp_path)
    operator = make_operator(postgresSecret=str(secret), history={"keepSucceededJobs": 1})
    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")

    def run(*jobs: str) -> None:
        for job in jobs:
            namespace.start("daily", job)
            namespace.end_pod(namespace.pod_of(job), exit_code=78 if "bad" in job else 0)
        wait_for("they are recorded", lambda: {*jobs} <= {row[0] for row in recorded(secret)}, 60)

    run("run-1", "run-2", "run-3")
    fill_up(own_server, secret)
    dump(own_server, secret, tmp_path / "history.dump")
    run("run-4", "run-5-bad", "run-6")
    before, status = recorded(secret), namespace.status("daily")
    assert [outcome for _, outcome, _ in before].count("Failed") == 1

    lost = time.monotonic()
    lose(own_server, secret)
    restore(own_server, secret, tmp_path / "history.dump")
    restored = time.monotonic() - lost
    wait_for("the hour after the dump", lambda: recorded(secret) == before, 120, operator.log)
    whole = time.monotonic() - lost
    assert count_all(own_server, secret) == OTHERS + len(before)

    bare = time.monotonic()
    lose(own_server, secret)
    wait_for("without a dump", lambda: recorded(secret) == before, 120, operator.log)
    remade = time.monotonic() - bare
    assert count_all(own_server, secret) == len(before)  # what no status tells is lost
    run("run-7")
    operator.wait_for_resyncs()
    after = namespace.status("daily")
    assert after["runCounts"] == {**status["runCounts"], "Succeeded": 6}
    assert len(namespace.pods()) == len(namespace.jobs())  # nothing ran again
    assert operator.exit_code is None
    with capsys.disabled():
        print(
            f"\n{OTHERS} runs of a dump restored in {restored:.1f} s, what came after it recorded "
            f"again after {whole:.1f} s; without a dump the last outcomes after {remade:.1f} s"
        )


@pytest.fixture
def empty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("empty")) as made:
        yield made


def manifest(body: Body) -> Body:
    """What a team keeps of its schedule: no uid, no status."""
    meta = {key: body["metadata"][key] for key in ("name", "namespace")}
    return {
        "apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": meta,
        "spec": body["spec"],
    }  # fmt: skip


def test_an_empty_cluster_with_a_dump_and_the_manifests(
    namespace: Namespace,
    empty_cluster: ControlPlane,
    own_server: PostgresServer,
    make_operator: Callable[..., OperatorProcess],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Within the runbook's RTO, and no report that its readers have is made again."""
    secret = own_server.make_database(tmp_path)
    operator = make_operator(postgresSecret=str(secret))
    operator.start()
    operator.wait_until_leading()
    namespace.apply("daily", schedule=DAILY, concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    backfills, kubelet = Backfills(namespace), Kubelet(namespace)
    backfills.ask("done", "2025-03-01", "2025-03-04", everySchedule=True, maxConcurrent=4)
    kubelet.work_until(
        "four days are done",
        lambda: backfills.status("done").get("state") in OVER,
        300,
        lambda: (backfills.status("done"), namespace.jobs(), operator.log()),
    )
    wait_for("they are recorded", lambda: len(recorded(secret)) == 4, 60, operator.log)
    old = {row[2] for row in recorded(secret)}
    dump(own_server, secret, tmp_path / "history.dump")
    kept = manifest(namespace.schedule("daily"))
    operator.kill()
    with own_server.admin() as admin:
        admin.execute(f"DROP DATABASE {secret.name} WITH (FORCE)")

    # Another cluster and another database: the chart, the dump, the manifests.
    start = time.monotonic()
    with own_server.admin() as admin:
        admin.execute(f"CREATE DATABASE {secret.name} OWNER {secret.name}")
    empty_cluster.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": namespace.name}})
    there = Namespace(empty_cluster, namespace.name)
    directory = tmp_path / uuid.uuid4().hex
    directory.mkdir()
    successor = OperatorProcess(
        directory, empty_cluster.kubeconfig, there.name, {"postgresSecret": str(secret)}
    )
    log = directory / "api.log"
    try:
        successor.start()
        successor.wait_until_leading()
        restore(own_server, secret, tmp_path / "history.dump")
        there.call("POST", there.path("/apis/reports.adaf.io/v1alpha1", "reportschedules"), kept)
        there.wait_until_observed("daily")
        api = ApiProcess(empty_cluster.kubeconfig, there.name, successor.config_file, log)
        api.start()
        try:
            assert len(api.api.jobs(schedule="daily")) == 4
        finally:
            api.end()
        back = time.monotonic() - start

        # Which of the days of the outage are missing is known from history, by the schedule's name.
        again, worker = Backfills(there), Kubelet(there)
        again.ask("outage", "2025-03-01", "2025-03-06", everySchedule=True, maxConcurrent=4)
        worker.work_until(
            "it is over", lambda: again.status("outage").get("state") in OVER, 120,
            lambda: (again.status("outage"), successor.log()),
        )  # fmt: skip
        status = again.status("outage")
        assert (status["done"], status["skipped"], status["failed"]) == (2, 4, 0), status
        assert len(worker.ended) == 2
        wait_for("all are recorded", lambda: len(recorded(secret)) == 6, 60, successor.log)
        assert old <= {row[2] for row in recorded(secret)}
    finally:
        successor.end()
    with capsys.disabled():
        print(f"\nan empty cluster with dump and manifests: back after {back:.1f} s")
    assert back < RTO
