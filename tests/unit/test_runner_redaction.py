"""Values of Secrets: hidden in every form in which drivers and servers quote them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from report_runner import mounted, redaction
from report_runner.contract.delivery import Delivery, EmailDelivery
from report_runner.contract.result import DeliveryResult, DeliveryStatus, Outcome, RunResult
from report_runner.contract.sources import SourceSpec
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.pod_run import redacted
from report_runner.redaction import Redactor, SecretEntry

VALUES = [
    "CANARYpw",
    "postgres://bob:CANARYpw@db.example:5432/market?a=b&c=d",
    'it\'s "CANARYpw" \\ done',
    "first\nCANARYpw of the second line\r\nthird",
    "pâss CANARYpw wörd",
    "a\x1b[31mCANARYpw\x7f",
    "CANARYpw" * 40,
]
WRITTEN = {
    "plain": lambda value: f"said: {value}!",
    "upper": lambda value: value.upper(),
    "lower": lambda value: value.lower(),
    "one line": lambda value: " ".join(value.split()),
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "json": json.dumps,
    "json as is": lambda value: json.dumps(value, ensure_ascii=False),
    "url": lambda value: quote(value, safe=""),
    "path": quote,
    "form": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for addresses": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "auth plain": lambda value: base64.b64encode(f"\0bob\0{value}".encode()).decode(),
    "base64 inside": lambda value: base64.b64encode(f"ab{value}cd".encode()).decode(),
    "hex": lambda value: value.encode().hex(),
    "sql": lambda value: value.replace("'", "''"),
}


def redactor(value: str, key: str = "password") -> Redactor:
    made = Redactor()
    made.add(SecretEntry("report-db", key, value))
    return made


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("form", list(WRITTEN))
def test_no_form_of_a_value_is_left(value: str, form: str) -> None:
    written = WRITTEN[form](value)
    told = redactor(value)(f"before {written} after")
    assert "canary" not in told.lower()
    assert "[Secret report-db key password]" in told
    core = base64.b64encode(value.encode()).decode()[4:12]
    assert core not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


def test_what_the_runner_says_itself_stays() -> None:
    said = "spec.report.sources[positions].postgres.query: Secret postgres-db, key user"
    made = redactor("postgres", "user")
    made.add(SecretEntry("postgres-db", "user", "postgres"))
    assert made(said) == said
    assert made('role "postgres" does not exist').startswith('role "[Secret ')


def test_a_text_can_be_cleaned_twice() -> None:
    made = redactor("user", "user")
    once = made('role "user" does not exist; Secret report-db, key user: has to be a name')
    assert once == (
        'role "[Secret report-db key user]" does not exist; Secret report-db, key user: '
        "has to be a name"
    )
    assert made(once) == once


def test_a_recipient_stays_but_not_as_a_password() -> None:
    made = redactor("a@example.com", "from")
    made.keep(["a@example.com"])
    assert made("a@example.com: refused") == "a@example.com: refused"
    made.add(SecretEntry("report-smtp", "password", "a@example.com"))
    assert made("a@example.com: refused") == "[Secret report-smtp key password]: refused"


def test_a_value_that_was_found_harmless_is_shown() -> None:
    made = redactor("db.example", "host")
    made.show("report-db", "host")
    assert made("db.example: refused") == "db.example: refused"


def test_the_address_of_a_named_sender_is_hidden_alone_too() -> None:
    made = redactor("Reports <reports@bücher.example>", "from")
    for written in ("<reports@bücher.example>", "550 <reports@xn--bcher-kva.example> refused"):
        assert "reports@" not in made(written)
        assert "[Secret report-db key from]" in made(written)


@pytest.mark.parametrize("value", VALUES[1:])
@pytest.mark.parametrize(
    "check", [mounted.host, mounted.port, mounted.name, mounted.mail_address,
              mounted.one_of(("a", "b")), mounted.certificates]
)  # fmt: skip
def test_each_check_refuses_what_is_something_else(check: mounted.Check, value: str) -> None:
    problem = check(value)
    assert problem is not None
    assert "CANARY" not in problem


@pytest.mark.parametrize(
    "host", ["db", "db.reports.svc", "db_1.example.com.", "10.0.0.1", "fd00::1", "xn--bcher-kva.de"]
)
def test_hosts(host: str) -> None:
    assert mounted.host(host) is None


@pytest.mark.parametrize(
    "host", ["", "a b", "a,b", "/run/pg", "h:5432", "[::1]", "fe80::1%x", "123456", "0x7f01", "-a"]
)
def test_no_hosts(host: str) -> None:
    assert mounted.host(host) is not None


def test_a_mounted_secret_is_known_before_it_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "report-db" / "..2026"
    directory.mkdir(parents=True)
    (directory / "host").write_text("CANARY host\n")
    (directory / "password").write_bytes(b"\xff\xfe")
    for key in ("host", "password"):
        (tmp_path / "report-db" / key).symlink_to(directory / key)
    secrets = Secrets(tmp_path)
    assert secrets.redact("at CANARY host.") == "at [Secret report-db key host]."
    with pytest.raises(RunError, match="Secret report-db, key password: is not UTF-8 text"):
        secrets.read("report-db", "password", "f", mounted.password)


def test_the_result_is_safe_and_can_be_written() -> None:
    result = RunResult(
        outcome=Outcome.FAILED,
        message="login CANARYpw \udcff",
        deliveries=[
            DeliveryResult(recipient="a@b", status=DeliveryStatus.FAILED, error="no CANARYpw")
        ],
    )
    text = redacted(result, redactor("CANARYpw")).model_dump_json()
    assert "CANARY" not in text
    assert text.count("[Secret report-db key password]") == 2


def test_the_names_of_fields_are_those_of_the_models() -> None:
    """`postgres` in spec.report.sources[a].postgres is kept although a user is called so."""
    for model in (EmailDelivery, SourceSpec, Delivery):
        names = {info.alias or name for name, info in model.model_fields.items()}
        assert names <= set(redaction._WORDS)
