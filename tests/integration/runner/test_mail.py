"""Delivery to a real SMTP server: each recipient gets the mail once."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from conftest import free_port

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.result import DeliveryResult, DeliveryStatus
from report_runner.delivery.channel import Attachment
from report_runner.delivery.ledger import Ledger, LedgerEntry, LedgerState, deliver_once
from report_runner.delivery.mail import EmailSender, SmtpSettings
from report_runner.delivery.message import EmailContent, compose, message_id
from report_runner.models import RunError
from report_runner.mounted import Secrets

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
EVERYBODY = ["a@example.com", "b@example.com", "c@example.com"]


class Inbox:
    def __init__(self, refused: str = "", answer: str = "550 no such user") -> None:
        self.mails: list[tuple[str, Message]] = []
        self.refused = refused
        self.answer = answer

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address == self.refused:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.rcpt_tos[0], email.message_from_bytes(envelope.content)))
        return "250 OK"


@contextmanager
def serving(inbox: Inbox, port: int) -> Iterator[None]:
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def content(tmp_path: Path) -> EmailContent:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.7 test")
    return EmailContent(
        sender="reports@example.com",
        subject="Positions 2026-01-05",
        text="text",
        html="<p>html</p>",
        schedule_uid="u1",
        schedule="reports/positions",
        slot=SLOT,
        run_id="positions.1",
        attachments=[Attachment(file, "positions-2026-01-05.pdf", Format.PDF)],
    )


def send(
    content: EmailContent,
    port: int,
    entries: dict[str, LedgerEntry],
    recipients: list[str] = EVERYBODY,
    save: Callable[[], None] = lambda: None,
) -> list[DeliveryResult]:
    def now() -> datetime:
        return datetime.now(UTC)

    server = SmtpSettings("127.0.0.1", port, content.sender, "", "", "none", None, "report-smtp")
    sender = EmailSender(server, Secrets(Path("none")), content, recipients, now)
    found: list[DeliveryResult] = []
    deliver_once(sender, Ledger("email", content.run_id, entries, save, now), found)
    return found


def test_each_recipient_gets_one_mail(content: EmailContent, port: int) -> None:
    inbox, ledger = Inbox(), dict[str, LedgerEntry]()
    with serving(inbox, port):
        first = send(content, port, ledger)
        second = send(content, port, ledger)
    assert [item.status for item in first] == [DeliveryStatus.SENT] * 3
    assert [item.status for item in second] == [DeliveryStatus.ALREADY_SENT] * 3
    assert [recipient for recipient, _ in inbox.mails] == EVERYBODY
    mail = inbox.mails[0][1]
    assert mail["Message-ID"] == message_id(content, "a@example.com")
    attached = [part for part in mail.walk() if part.get_filename()]
    assert [part.get_filename() for part in attached] == ["positions-2026-01-05.pdf"]
    assert attached[0].get_payload(decode=True) == b"%PDF-1.7 test"


def test_refused_recipient_does_not_affect_others(content: EmailContent, port: int) -> None:
    inbox, ledger = Inbox(refused="b@example.com"), dict[str, LedgerEntry]()
    with serving(inbox, port):
        results = send(content, port, ledger)
        assert [item.status.value for item in results] == ["sent", "failed", "sent"]
        assert "550 no such user" in (results[1].error or "")
        inbox.refused = ""
        again = send(content, port, ledger)
    assert [item.status.value for item in again] == ["alreadySent", "sent", "alreadySent"]
    assert sorted(recipient for recipient, _ in inbox.mails) == EVERYBODY


def test_recipient_who_is_put_off_gets_it_at_the_next_attempt(
    content: EmailContent, port: int
) -> None:
    """As greylisting does: for now no, later yes."""
    inbox, ledger = Inbox("b@example.com", "450 4.2.0 greylisted"), dict[str, LedgerEntry]()
    with serving(inbox, port):
        results = send(content, port, ledger)
        assert [item.status.value for item in results] == ["sent", "failed", "sent"]
        assert "450 4.2.0 greylisted" in (results[1].error or "")
        inbox.refused = ""
        again = send(content, port, ledger)
    assert [item.status.value for item in again] == ["alreadySent", "sent", "alreadySent"]


def test_delivery_resumes_after_an_outage(content: EmailContent, port: int) -> None:
    inbox, ledger = Inbox(), dict[str, LedgerEntry]()
    with pytest.raises(RunError) as caught:
        send(content, port, ledger)
    assert caught.value.reason is Reason.DELIVERY_FAILED
    assert "report-smtp" in caught.value.message
    with serving(inbox, port):
        send(content, port, ledger)
    assert len(inbox.mails) == 3


class Hangup(Inbox):
    """Ends the connection in the place of its first answer to a message."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if not self.mails:
            self.mails.append((envelope.rcpt_tos[0], Message()))
            server.transport.close()
        return await super().handle_DATA(server, session, envelope)


def test_connection_that_ends_leaves_one_recipient_in_doubt_and_the_others_get_theirs(
    content: EmailContent, port: int
) -> None:
    with serving(inbox := Hangup(), port):
        results = send(content, port, {})
    assert [item.status.value for item in results] == ["uncertain", "sent", "sent"]
    assert [recipient for recipient, _ in inbox.mails[-2:]] == EVERYBODY[1:]


def test_intent_is_written_before_sending(content: EmailContent, port: int) -> None:
    seen: list[LedgerState] = []
    ledger: dict[str, LedgerEntry] = {}
    inbox = Inbox()
    with serving(inbox, port):
        send(
            content,
            port,
            ledger,
            ["a@example.com"],
            save=lambda: seen.append(ledger["a@example.com"].state),
        )
    assert seen == [LedgerState.SENDING, LedgerState.SENT]


INJECTIONS = [
    "a\r\nBcc: x@example.com",
    "a\nb",
    "a\x00b",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\udc0ab",
    "=?utf-8?q?a=0D=0ABcc:_x@example.com?=",
    "=?UTF-8?B?YQ0KQmNjOiB4QGV4YW1wbGUuY29t?=",
    "=?utf-8?b?YQ0KQmNjOiB4QGV4YW1wbGUuY29t",  # padded or not, closed or not
    "x =?utf-8?q?a=0ab?= y",
    "=?utf-8*en?q?a=0ab?=",
    "=?utf-7?q?a+AAo-b?=",
    "=?utf-16?b?AAoACg==?=",
    "=?nonsense?q?a=0ab?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3D0Ab=3F=3D?=",
    "=?utf-8?q?a=\r\n 0ab?=",
    "=?utf-8?q?a=C2=85b?=",
    "=?utf-8?q?a=E2=80=A8b?=",
]
FIELDS = {
    "subject": r"spec\.delivery\.email\.subject",
    "sender": "the smtp Secret's key from",
    "schedule": "name",
    "run_id": "run id",
}


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("part", list(FIELDS))
def test_no_header_is_smuggled_in(content: EmailContent, port: int, part: str, text: str) -> None:
    inbox = Inbox()
    value = f"{text}@example.com" if part == "sender" else text
    changed = replace(content, **{part: value})
    if text.startswith("=?") and not text.endswith("?="):
        return assert_written_whole(changed)
    with serving(inbox, port), pytest.raises(RunError, match=FIELDS[part]) as caught:
        send(changed, port, {})
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert inbox.mails == []
    return None


def assert_written_whole(content: EmailContent) -> None:
    """What is no encoded word is a text like others: it adds no header."""
    written = email.message_from_bytes(bytes(compose(content, "a@example.com", SLOT)))
    assert written["Bcc"] is None


@pytest.mark.parametrize("text", INJECTIONS[:8])
def test_no_header_is_smuggled_in_by_names(content: EmailContent, port: int, text: str) -> None:
    inbox, attachment = Inbox(), replace(content.attachments[0], name=text)
    with serving(inbox, port):
        with pytest.raises(RunError, match="attachment name"):
            send(replace(content, attachments=[attachment]), port, {})
        # A recipient that is wrong costs the others nothing that was half done.
        with pytest.raises(RunError, match=r"spec\.delivery\.email\.to"):
            send(content, port, {}, [*EVERYBODY, f"{text}@example.com"])
    assert inbox.mails == []


@pytest.mark.parametrize(
    "subject",
    ["Überblick – 5 %", "a =? b ?= c", "=?utf-8?q?caf=C3=A9?=", "100% = 1?", "日本語" * 60],
)
def test_other_subjects_arrive(content: EmailContent, port: int, subject: str) -> None:
    inbox = Inbox()
    with serving(inbox, port):
        send(replace(content, subject=subject), port, {}, ["a@example.com"])
    ((_, mail),) = inbox.mails
    assert mail["To"] == "a@example.com"
    read = str(make_header(decode_header(mail["Subject"])))
    assert " ".join(read.split()) == subject.replace("=?utf-8?q?caf=C3=A9?=", "café")
