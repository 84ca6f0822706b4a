"""A real PostgreSQL server and real SMTP servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hack.testbed import postgres
from hack.testbed.controlplane import free_port
from hack.testbed.postgres import PASSWORD, PostgresServer, postgres_server

__all__ = ["PASSWORD", "Database", "free_port", "write_secret"]


@dataclass(frozen=True)
class Database:
    """A server with a read-only role `reader` and a table `positions`."""

    server: PostgresServer

    @property
    def host(self) -> str:
        return postgres.HOST

    @property
    def port(self) -> int:
        return self.server.port

    def admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        return self.server.admin()

    def secret(self, root: Path, **changes: str) -> str:
        """Write a Secret directory as the kubelet mounts it; its name."""
        keys = {**self.server.keys(), "dbname": "postgres", "user": "reader"} | changes
        write_secret(root, "report-db", keys)
        return "report-db"


def write_secret(root: Path, name: str, keys: dict[str, str]) -> None:
    postgres.write_secret(root / name, keys)


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with postgres_server() as server:
        with server.admin() as admin:
            admin.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE TABLE positions (day date, isin text, amount numeric)")
            admin.execute(
                "INSERT INTO positions SELECT date '2026-01-01' + n, 'ISIN' || n, n * 1.5 "
                "FROM generate_series(1, 500) AS n"
            )
            admin.execute("CREATE TABLE payroll (name text)")
            admin.execute("GRANT SELECT ON positions TO reader")
        yield Database(server)
