"""What a run says of a Secret: its log and its termination message name it, and quote nothing.

Status, Events, history and Redis have no other source than these two.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from hack.testbed.controlplane import free_port
from hack.testbed.postgres import PASSWORD, PostgresServer, postgres_server, write_secret
from tests.attacks.canaries import CANARY, DATABASES, MAIL_SERVERS
from tests.attacks.vectors import Attacks, Vector
from tests.support.runner import Pod

EMAIL = {"to": ["a@example.com"], "attach": ["csv"], "smtp": {"secretRef": {"name": "report-smtp"}}}


class Refusing:
    """A mail server that takes no login, and quotes what it was given."""

    async def auth_PLAIN(self, server: Any, arguments: Any) -> AuthResult:  # noqa: N802
        return AuthResult(success=False, handled=False)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        with made.admin() as admin:
            admin.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        yield made


@pytest.fixture(scope="module")
def smtp_port() -> Iterator[int]:
    port = free_port()
    controller = Controller(
        Refusing(), hostname="127.0.0.1", port=port, auth_require_tls=False, auth_required=False
    )
    controller.start()
    yield port
    controller.stop()


def _run(root: Path, vector: Vector, pg_port: int, smtp_port: int) -> str | None:
    keys = {
        name: value.replace("$PG_PORT", str(pg_port)).replace("$SMTP_PORT", str(smtp_port))
        for name, value in vector.data.items()
    }
    here = Pod(root / vector.area / vector.name)
    here.root.mkdir(parents=True)
    inline: dict[str, Any] = {}
    if vector.area == "canary-database":
        write_secret(here.secrets / "report-db", keys)
    else:
        write_secret(here.secrets / "report-smtp", keys)
        inline = {"sources": [{"name": "positions", "inline": {"rows": [{"a": 1}]}}]}
    mail = EMAIL if inline else None
    here.define("SELECT 1 AS a", mail, formats=["csv"], **inline)
    code, result, log = here.run(PGCONNECT_TIMEOUT="5")
    told = here.termination_log.read_text() + log
    if CANARY in told:
        at = told.index(CANARY)
        return f"it is told: {told[max(at - 60, 0) : at + 30]}"
    if code == 0 and vector.area == "canary-database":
        return "it logged in"
    if result.reason is not None and result.reason.value == "InternalError":
        return f"no reason that an author understands: {result.message}"
    return None


@pytest.mark.parametrize("vectors", [DATABASES, MAIL_SERVERS], ids=["database", "mail"])
def test_no_value_of_a_secret_is_told(
    vectors: list[Vector],
    server: PostgresServer,
    smtp_port: int,
    attacks: Attacks,
    tmp_path: Path,
) -> None:
    """Whatever key it stands in."""
    with ThreadPoolExecutor(2) as pool:
        told = pool.map(lambda v: _run(tmp_path, v, server.port, smtp_port), vectors)
        for vector, how in zip(vectors, told, strict=True):
            attacks.record(vector, how)
    attacks.judge(vectors)
