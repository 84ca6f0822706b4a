"""A real PgBouncer in front of a PostgreSQL server, in transaction mode and else by default."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from hack.testbed.controlplane import free_port
from hack.testbed.postgres import HOST, PASSWORD, PostgresServer
from hack.testbed.waiting import wait_for

_CONFIG = """[databases]
* = host={host} port={server} user={role} password={password}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {directory}/users
pool_mode = {mode}
default_pool_size = 1
logfile = {directory}/log
"""


@contextmanager
def pgbouncer(server: PostgresServer, role: str, mode: str = "transaction") -> Iterator[int]:
    """Its port while it runs. One connection to the server, as `role`, which all clients share."""
    port = free_port()
    directory = Path(f"/tmp/report-pgbouncer-{uuid.uuid4().hex[:8]}")
    directory.mkdir(mode=0o700)
    (directory / "users").write_text(f'"{role}" "{PASSWORD}"\n')
    (directory / "pgbouncer.ini").write_text(
        _CONFIG.format(
            host=HOST, server=server.port, role=role, password=PASSWORD, port=port,
            directory=directory, mode=mode,
        )
    )  # fmt: skip
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert program, "PgBouncer is missing: apt-get install pgbouncer"
    command = [program, "-q", str(directory / "pgbouncer.ini")]
    user: str | None = None
    if os.getuid() == 0:  # it refuses to run as root
        user = "postgres"
        os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
    process = subprocess.Popen(command, user=user, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        assert process.poll() is None, (directory / "log").read_text()
        try:
            psycopg.connect(
                host=HOST, port=port, user=role, password=PASSWORD, dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_for("PgBouncer answers", answers)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)
