"""A real MariaDB server on loopback, which tests may stop and start."""

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

import pymysql

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for

HOST = "127.0.0.1"
PASSWORD = "s3cret-pw/of the@test"
DATABASE = "reports"


@dataclass
class MariaDbServer:
    """`root` logs in by the socket; the role `reader` with its password, and may only read."""

    directory: Path = field(default_factory=lambda: Path(f"/tmp/report-my-{uuid.uuid4().hex[:8]}"))
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        self.directory.mkdir(mode=0o700)
        if os.getuid() == 0:  # the server refuses to run as root
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        assert shutil.which("mariadb-install-db"), "apt-get install mariadb-server"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *self._common, "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/sbin/mariadbd", "--no-defaults", *self._common, f"--port={self.port}",
             f"--bind-address={HOST}", f"--socket={self._socket}", "--skip-name-resolve",
             "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
             f"--log-error={self.directory / 'log'}", "--secure-file-priv=", *self.options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for("MariaDB answers", self._answers, 120)

    def stop(self) -> None:
        """At once, as a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def admin(self, database: str | None = DATABASE) -> pymysql.Connection[Any]:
        return pymysql.connect(
            unix_socket=str(self._socket), user="root", database=database, autocommit=True
        )

    def execute(self, *statements: str) -> None:
        connection = self.admin(None)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def load_zones(self) -> None:
        """What `mariadb-tzinfo-to-sql` makes of this machine's zone data."""
        made = subprocess.run(
            ["mariadb-tzinfo-to-sql", "/usr/share/zoneinfo"], check=True, capture_output=True
        )
        subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self._socket}", "-uroot", "mysql"],
            input=made.stdout, check=True, capture_output=True,
        )  # fmt: skip

    def url(self, user: str = "reader", password: str = PASSWORD, database: str = DATABASE) -> str:
        """A SQLAlchemy URL, as a Secret has it."""
        from sqlalchemy.engine.url import URL

        made = URL.create("mysql+pymysql", user, password, HOST, self.port, database)
        return made.render_as_string(hide_password=False)

    @property
    def _socket(self) -> Path:
        return self.directory / "socket"

    @property
    def _common(self) -> list[str]:
        as_user = [f"--user={self._user.pw_name}"] if os.getuid() == 0 else []
        return [f"--datadir={self.directory / 'data'}", *as_user]

    @property
    def _user(self) -> pwd.struct_passwd:
        return pwd.getpwnam("mysql")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
        ping = ["mariadb-admin", "--no-defaults", f"--socket={self._socket}", "-uroot", "ping"]
        return subprocess.run(ping, check=False, capture_output=True).returncode == 0


@contextmanager
def mariadb_server(*options: str) -> Iterator[MariaDbServer]:
    """A running server with a database and a role that may only read, removed afterwards."""
    server = MariaDbServer(options=options)
    server.create()
    try:
        server.start()
        server.execute(
            f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4",
            f"CREATE USER reader@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT ON {DATABASE}.* TO reader@'%'",
        )
        yield server
    finally:
        server.remove()
