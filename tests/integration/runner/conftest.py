"""A real PostgreSQL server and real SMTP servers on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

PASSWORD = "s3cret-pw-of-the-test"


@dataclass(frozen=True)
class Database:
    """A server with a read-only role `reader` and a table `positions`."""

    host: str
    port: int
    directory: Path

    def admin(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host, port=self.port, user="postgres", dbname="postgres", autocommit=True
        )

    def secret(self, root: Path, **changes: str) -> str:
        """Write a Secret directory as the kubelet mounts it; its name."""
        keys = {
            "host": self.host,
            "port": str(self.port),
            "dbname": "postgres",
            "user": "reader",
            "password": PASSWORD,
            "sslmode": "disable",
        } | changes
        write_secret(root, "report-db", keys)
        return "report-db"


def write_secret(root: Path, name: str, keys: dict[str, str]) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    for key, value in keys.items():
        (root / name / key).write_text(value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL's server is missing: apt-get install postgresql"
    return found[-1].parent


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    programs = _programs()
    directory = Path(f"/tmp/report-pg-{os.getpid()}")
    directory.mkdir(mode=0o700)
    as_user: dict[str, object] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(directory, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid}
    subprocess.run(
        [programs / "initdb", "-D", directory, "-A", "trust", "-U", "postgres", "-N"],
        check=True, capture_output=True, cwd="/", **as_user,
    )  # fmt: skip
    (directory / "pg_hba.conf").write_text(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    )
    port = free_port()
    subprocess.run(
        [programs / "pg_ctl", "-D", directory, "-w", "-l", directory / "log", "-o",
         f"-p {port} -h 127.0.0.1 -k {directory} -c fsync=off", "start"],
        check=True, capture_output=True, cwd="/", **as_user,
    )  # fmt: skip
    database = Database("127.0.0.1", port, directory)
    try:
        with database.admin() as admin:
            admin.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE TABLE positions (day date, isin text, amount numeric)")
            admin.execute(
                "INSERT INTO positions SELECT date '2026-01-01' + n, 'ISIN' || n, n * 1.5 "
                "FROM generate_series(1, 500) AS n"
            )
            admin.execute("CREATE TABLE payroll (name text)")
            admin.execute("GRANT SELECT ON positions TO reader")
        yield database
    finally:
        subprocess.run(
            [programs / "pg_ctl", "-D", directory, "-m", "immediate", "-w", "stop"],
            check=True, capture_output=True, cwd="/", **as_user,
        )  # fmt: skip
        shutil.rmtree(directory)
