"""SQL of authors against a real PostgreSQL server, as a role that may only read one table."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testbed.postgres import PASSWORD, PostgresServer, postgres_server, write_secret
from tests.attacks import queries
from tests.attacks.batch import MIB, run_batch
from tests.attacks.vectors import Attacks

PEAK = 700 * MIB  # a run has 768 MiB
SECONDS = 30.0  # for a query whose own time-out is shorter, on a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        with made.admin() as admin:
            admin.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE TABLE positions (day date, isin text, amount numeric)")
            admin.execute(
                "INSERT INTO positions SELECT now(), 'I' || n, n FROM generate_series(1, 9) n"
            )
            admin.execute("CREATE TABLE payroll (name text)")
            admin.execute(
                f"INSERT INTO payroll SELECT '{queries.CANARY}' FROM generate_series(1, 9)"
            )
            admin.execute("ANALYZE")
            admin.execute("GRANT SELECT ON positions TO reader")
        yield made


def test_a_query_reads_what_its_role_may_read(
    server: PostgresServer, attacks: Attacks, tmp_path: Path
) -> None:
    """Nothing else is read, nothing is written, and nothing lasts."""
    write_secret(tmp_path / "report-db", {**server.keys(), "dbname": "postgres", "user": "reader"})
    canary = server.directory / "canary"
    canary.write_text(queries.FILE_CANARY)
    canary.chmod(0o644)
    pwned = Path("/tmp") / f"pwned-{uuid.uuid4().hex[:8]}"
    cases = [
        [
            vector.data.text.replace(queries.FILE, str(canary)).replace(queries.PWNED, str(pwned)),
            vector.data.timeout,
        ]
        for vector in queries.QUERIES
    ]
    done = run_batch(
        "tests.attacks.query_driver", "run_query", cases, 560, ATTACK_SECRETS=str(tmp_path)
    )
    for vector, found in zip(queries.QUERIES, done, strict=True):
        shown = str(found.said)
        how = None
        if found.said is None:
            how = "it killed the run's own process"
        elif found.said["wrote"]:
            how = "the database is not what it was"
        elif queries.CANARY in shown or queries.FILE_CANARY in shown:
            how = f"it shows what its role may not read: {shown}"
        elif found.said.get("reason") == "InternalError":
            how = f"no reason that an author understands: {shown}"
        elif found.seconds > SECONDS:
            how = f"it took {found.seconds:.0f} s"
        elif found.peak > PEAK and vector.data.slow and "reason" not in found.said:
            how = f"the run's process came to {found.peak // MIB} MiB"
        attacks.record(vector, how)
    assert not pwned.exists()
    attacks.judge(queries.QUERIES)
