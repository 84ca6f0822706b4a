"""A real PostgreSQL server on loopback, which tests may stop and start."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from hack.testbed.controlplane import free_port

HOST = "127.0.0.1"
PASSWORD = "s3cret-pw-of-the-test"


@dataclass
class PostgresServer:
    """The role `postgres` is trusted; every other role logs in with its password."""

    directory: Path = field(default_factory=lambda: Path(f"/tmp/report-pg-{uuid.uuid4().hex[:8]}"))
    port: int = field(default_factory=free_port)
    options: str = ""

    def create(self) -> None:
        self.directory.mkdir(mode=0o700)
        if os.getuid() == 0:  # the server refuses to run as root
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-A", "trust", "-U", "postgres", "-N")
        (self.directory / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )

    def start(self) -> None:
        self._run(
            "pg_ctl", "-w", "-l", self.directory / "log", "-o",
            f"-p {self.port} -h {HOST} -k {self.directory} -c fsync=off {self.options}", "start",
        )  # fmt: skip

    def stop(self) -> None:
        """Immediate shutdown, as a crash."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def damage(self, table: str, dbname: str = "postgres") -> None:
        """Overwrite the header of the table's first page on disk; it is read from there again."""
        with self.admin(dbname) as admin:
            admin.execute("CHECKPOINT")
            found = admin.execute("SELECT pg_relation_filepath(%s)", (table,)).fetchone()
        assert found is not None
        self.stop()
        with (self.directory / str(found[0])).open("r+b") as file:
            file.write(b"\xff" * 24)  # sizes and offsets that no page has
        self.start()

    def remove(self) -> None:
        if (self.directory / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.directory)

    def admin(self, dbname: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=HOST, port=self.port, user="postgres", dbname=dbname, autocommit=True
        )

    def make_database(self, root: Path) -> Path:
        """Create a database owned by a role of its own; the directory of its Secret."""
        name = f"history_{uuid.uuid4().hex[:8]}"
        with self.admin() as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        directory = root / name
        write_secret(directory, {**self.keys(), "dbname": name, "user": name})
        return directory

    def keys(self) -> dict[str, str]:
        """A Secret's keys, without dbname and user."""
        return {
            "host": HOST, "port": str(self.port), "password": PASSWORD, "sslmode": "disable"
        }  # fmt: skip

    @property
    def _user(self) -> pwd.struct_passwd:
        return pwd.getpwnam("postgres")

    def _run(self, program: str, *arguments: object) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        assert found, "PostgreSQL's server is missing: apt-get install postgresql"
        command = [found[-1].parent / program, "-D", self.directory, *map(str, arguments)]
        as_user: dict[str, Any] = {}
        if os.getuid() == 0:
            as_user = {"user": self._user.pw_uid, "group": self._user.pw_gid}
        subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user)


def write_secret(directory: Path, keys: dict[str, str]) -> None:
    """Write a Secret as the kubelet mounts it: a file per key."""
    directory.mkdir(parents=True, exist_ok=True)
    for key, value in keys.items():
        (directory / key).write_text(value)


@contextmanager
def postgres_server(options: str = "") -> Iterator[PostgresServer]:
    """A running server, removed afterwards."""
    server = PostgresServer(options=options)
    server.create()
    try:
        server.start()
        yield server
    finally:
        server.remove()
