"""Secrets that are filled wrongly: whatever stands in a key reaches nothing that leaves the pod."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from conftest import free_port, write_secret

from report_runner.contract.reasons import Reason
from report_runner.contract.result import RunResult
from report_runner.redaction import forms
from tests.support.runner import Pod

CANARY = "CANARYpw7Q"
ROWS = [{"x": 1}]

# The way each key was filled by mistake; what is not named is right.
SAMPLES: dict[str, tuple[str, dict[str, str]]] = {
    "c1": ("db", {"host": f"postgres://bob:{CANARY}@db.example/market"}),
    "c2": ("db", {"port": CANARY}),
    "c3": ("db", {"sslmode": CANARY}),
    "c4": ("db", {"password": CANARY}),
    "c5": ("db", {"password": CANARY, "sslmode": "require"}),
    "c6": ("db", {"password": CANARY, "sslmode": "verify-full", "ca.crt": f"{CANARY}cert"}),
    "c7": ("db", {"user": f"report_reader password={CANARY}"}),
    "c8": ("db", {"dbname": f"postgresql://bob:{CANARY}@h/db"}),
    "s1": ("smtp", {"security": CANARY}),
    "s2": ("smtp", {"username": "bob", "password": CANARY}),
    "s3": ("smtp", {"from": CANARY}),
    "s4": ("smtp", {"host": f"smtp://bob:{CANARY}@mail.demo.svc"}),
    "s5": ("smtp", {"port": CANARY}),
    "s6": ("smtp", {"security": "starttls", "username": "bob", "password": CANARY}),
    "s7": (
        "smtp",
        {
            "username": "b\nob",
            "password": CANARY,
            "from": f"a@example.com\r\nBcc: {CANARY}@example.com",
        },
    ),
}  # fmt: skip
SHAPES = {
    "alone": CANARY,
    "url": f"postgres://bob:{CANARY}@db.example:5432/market?sslmode=require",
    "lines": f"first\n{CANARY}\r\nBcc: x@example.com",
    "letters": f"ü{CANARY}ß",
}
KEYS = {
    "db": ("host", "port", "dbname", "user", "password", "sslmode", "ca.crt"),
    "smtp": ("host", "port", "from", "username", "password", "security", "ca.crt"),
}
GENERATED = {
    f"{kind}-{key}-{shape}": (kind, {key: value})
    for kind, keys in KEYS.items()
    for key in keys
    for shape, value in SHAPES.items()
}
UNKNOWN_HOST = "no-such-host.invalid"


class Talkative:
    """A mail server that says back whatever it was told."""

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if CANARY.lower() in address.lower():
            return f"550 no mail from {address.upper()}, {address.lower()} or '{address}'"
        envelope.mail_from = address
        return "250 OK"


def refuse(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    login, password = data.login.decode(), data.password.decode()
    return AuthResult(
        success=False, handled=False, message=f"535 {login} has not the password {password}"
    )


@contextmanager
def mail_server() -> Iterator[int]:
    port = free_port()
    controller = Controller(
        Talkative(),
        hostname="127.0.0.1",
        port=port,
        authenticator=refuse,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def smtp_port() -> Iterator[int]:
    with mail_server() as port:
        yield port


def run(
    tmp_path: Path, database: Any, port: int, kind: str, changes: dict[str, str]
) -> tuple[RunResult, list[str]]:
    """The result of a run with such a Secret, and every text that it left anywhere."""
    here = Pod(tmp_path)
    if kind == "db":
        database.secret(here.secrets, **changes)
        here.define("SELECT 1 AS a", formats=["csv"])
    else:
        keys = {"host": "127.0.0.1", "port": str(port), "from": "a@example.com"}
        logged_in = {"username": "bob", "password": "x"} if "ca.crt" not in changes else {}
        write_secret(
            here.secrets, "report-smtp", {**keys, "security": "none", **logged_in, **changes}
        )
        here.define(
            "",
            {"to": ["a@example.com"], "attach": ["csv"], "smtp": _reference()},
            formats=["csv"],
            sources=[{"name": "a", "inline": {"rows": ROWS}}],
        )
    _, result, log = here.run()
    texts = [log, here.termination_log.read_text()]
    texts += [path.read_bytes().decode(errors="replace") for path in here.volume.rglob("*.*")
              if path.is_file()]  # fmt: skip
    texts += [str(path) for path in here.volume.rglob("*")]
    return result, texts


def _reference() -> dict[str, Any]:
    return {"secretRef": {"name": "report-smtp"}}


def leaks(texts: list[str], changes: dict[str, str]) -> list[str]:
    """Where the canary, or any form of the value that held it, is to be read."""
    wanted = {form.lower() for form in forms(CANARY)}
    for value in changes.values():
        if CANARY in value:
            wanted |= {form.lower() for form in forms(value)}
    return [text for text in texts if any(form in text.lower() for form in wanted)]


@pytest.mark.parametrize("case", [*SAMPLES, *GENERATED])
def test_no_value_of_a_secret_leaves_the_pod(
    tmp_path: Path, database: Any, smtp_port: int, case: str
) -> None:
    kind, changes = (SAMPLES | GENERATED)[case]
    result, texts = run(tmp_path, database, smtp_port, kind, changes)
    assert leaks(texts, changes) == []
    assert result.reason in (
        Reason.CONFIGURATION_ERROR, Reason.DATABASE_UNAVAILABLE, Reason.DELIVERY_FAILED
    ), result  # fmt: skip
    named = {"db": "report-db", "smtp": "report-smtp"}[kind]
    assert f"Secret {named}" in result.message


@pytest.mark.parametrize(
    ("kind", "key", "value", "said"),
    [
        ("db", "host", "postgres://bob:pass@db/market", "key host: has to be a host name or addr"),
        ("db", "host", "12345678", "key host: has to be a host name or address"),
        ("db", "host", "a,b", "key host: has to be a host name or address"),
        ("db", "port", "²²", "key port: has to be a number from 1 to 65535"),
        ("db", "port", "65536", "key port: has to be a number from 1 to 65535"),
        ("db", "dbname", "postgresql://h/db", "key dbname: has to be a name"),
        ("db", "dbname", "d" * 64, "key dbname: has to be a name of at most 63 bytes"),
        ("db", "user", "reader dbname=x", "key user: has to be a name"),
        ("db", "sslmode", "on", "key sslmode: has to be one of disable, allow, prefer, require"),
        ("db", "ca.crt", "no certificate", "key ca.crt: has to be one or more certificates"),
        ("smtp", "security", "ssl", "key security: has to be one of starttls, tls, none"),
        ("smtp", "from", "Reports a@example.com", "key from: "),
        ("smtp", "username", "bób", "key username: has to be one line of ASCII"),
    ],
)
def test_the_message_names_secret_key_and_remedy(
    tmp_path: Path, database: Any, smtp_port: int, kind: str, key: str, value: str, said: str
) -> None:
    result, texts = run(tmp_path, database, smtp_port, kind, {key: value})
    assert result.reason is Reason.CONFIGURATION_ERROR
    assert re.search(rf"secretRef: Secret report-{kind}, {re.escape(said)}", result.message)
    assert not [text for text in texts if f"{value}" in text and len(value) > 5]


def test_on_call_reads_the_host_of_a_database_that_is_down(
    tmp_path: Path, database: Any, smtp_port: int
) -> None:
    result, _ = run(tmp_path, database, smtp_port, "db", {"host": "localhost", "port": "1"})
    assert result.reason is Reason.DATABASE_UNAVAILABLE
    assert "no connection to localhost:1 with Secret report-db" in result.message
    result, _ = run(tmp_path, database, smtp_port, "db", {"host": UNKNOWN_HOST})
    assert "no connection to [Secret report-db key host]:" in result.message
    result, _ = run(tmp_path, database, smtp_port, "smtp", {"port": "1"})
    assert "mail server 127.0.0.1:1 (Secret report-smtp) cannot be used" in result.message


def test_a_value_is_replaced_by_where_it_stands(
    tmp_path: Path, database: Any, smtp_port: int
) -> None:
    result, _ = run(tmp_path, database, smtp_port, "db", {"dbname": "no_such_database"})
    assert 'database "[Secret report-db key dbname]" does not exist' in result.message
    assert json.loads(result.model_dump_json())["reason"] == "ConfigurationError"
