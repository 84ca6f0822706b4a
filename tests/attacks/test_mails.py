"""Mails as a run makes and sends them, read by a real SMTP server."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import ValidationError

from hack.testbed.controlplane import free_port
from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.mailbox import parse_mailbox
from report_runner.contract.report import Format
from report_runner.delivery.channel import Attachment
from report_runner.delivery.ledger import Ledger, deliver_once
from report_runner.delivery.mail import EmailSender, SmtpSettings
from report_runner.delivery.message import EmailContent, email_bodies
from report_runner.models import RunError
from report_runner.mounted import Secrets
from report_runner.render import template
from report_runner.render.documents import render_text
from tests.attacks.mails import MAILS, THIEF, Mail
from tests.attacks.render_driver import given
from tests.attacks.vectors import Attacks

SUBJECT_LIMIT = 2000  # bytes of a folded header
HEADERS = {
    "from", "to", "subject", "date", "message-id", "auto-submitted", "x-report-schedule",
    "x-report-slot", "x-report-run", "mime-version", "content-type",
}  # fmt: skip


class Inbox:
    """What came in: recipients and bytes of each."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"


@contextmanager
def _serving(inbox: Inbox, port: int) -> Iterator[None]:
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def _send(mail: Mail, port: int, file: Path) -> None:
    """As a run does it. Raises what a run reports as its failure."""
    delivery = EmailDelivery.model_validate(
        {"to": [mail.to], "subject": mail.subject, "smtp": {"secretRef": {"name": "report-smtp"}}}
    )
    data = given("", title=mail.title, name=mail.name, parameters={"p": mail.parameter})
    text, html = email_bodies(data)
    letter = EmailContent(
        sender=mail.sender,
        subject=render_text(delivery.subject, data),
        text=text,
        html=html,
        schedule_uid="u1",
        schedule=f"team-a/{mail.name}",
        slot=data.slot,
        run_id="run.1",
        attachments=[Attachment(file, "a.csv", Format.CSV)],
        to=delivery.to,
    )
    server = SmtpSettings("127.0.0.1", port, mail.sender, "", "", "none", None, "report-smtp")
    now = lambda: datetime.now(UTC)  # noqa: E731
    sender = EmailSender(server, Secrets(Path("none")), letter, delivery.targets(), now)
    deliver_once(sender, Ledger("email", "run.1", {}, lambda: None, now), [])


def _effect(mails: list[tuple[list[str], bytes]], mail: Mail) -> str | None:
    if len(mails) > 1:
        return f"{len(mails)} mails were sent"
    for recipients, content in mails:
        if recipients != [parse_mailbox(mail.to).ascii_address]:
            return f"it went to {recipients}"
        message = email.message_from_bytes(content, policy=email.policy.SMTP)
        unknown = {name.lower() for name in message} - HEADERS
        if unknown:
            return f"it has the headers {sorted(unknown)}"
        head = content.partition(b"\r\n\r\n")[0]
        if b"\nBcc:" in head or b"\rBcc:" in head or len(message["Subject"]) > SUBJECT_LIMIT:
            return "its head has a line that is none of ours"
        if any(ord(c) < 32 or c in "\x7f\x85\u2028\u2029" for c in str(message["Subject"])):
            return "its subject has a line break"
        addresses = [a.addr_spec for a in message["To"].addresses]
        if THIEF in addresses or len(addresses) != 1:
            return f"it names {addresses}"
        if b"<script>" in content.partition(b"text/html")[2].partition(b"\r\n--")[0]:
            return "its text has markup of the title"
    return None


def test_no_header_is_the_authors(
    attacks: Attacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One recipient, the runner's own headers, each on a line of its own."""
    monkeypatch.setattr(template, "SECONDS", 2.0)
    file = tmp_path / "a.csv"
    file.write_text("a\r\n1\r\n")
    inbox, port = Inbox(), free_port()
    with _serving(inbox, port):
        for vector in MAILS:
            inbox.mails.clear()
            how = None
            try:
                _send(vector.data, port, file)
            except (RunError, ValidationError):
                assert not inbox.mails
            except Exception as error:  # noqa: BLE001 - a run would say InternalError
                how = f"no reason that an author understands: {type(error).__name__}: {error}"
            attacks.record(vector, how or _effect(inbox.mails, vector.data))
    attacks.judge(MAILS)
