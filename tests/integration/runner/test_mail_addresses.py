"""Names, copies and internationalised addresses, to real SMTP servers of different abilities."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from conftest import free_port

from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.result import DeliveryResult
from report_runner.delivery.channel import Attachment
from report_runner.delivery.ledger import Ledger, LedgerEntry, LedgerState, deliver_once
from report_runner.delivery.mail import EmailSender, SmtpSettings
from report_runner.delivery.message import EmailContent, message_id
from report_runner.models import RunError
from report_runner.mounted import Secrets

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)


class Server:
    """Keeps what came in; offers what it is told to."""

    def __init__(self, port: int, *, utf8: bool = False, eight_bit: bool = True) -> None:
        self.port, self.utf8, self.eight_bit = port, utf8, eight_bit
        self.mails: list[tuple[str, list[str], bytes]] = []  # sender, recipients, content
        self.options: list[list[str]] = []

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if self.eight_bit or "8BITMIME" not in line]

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self.options.append([one for one in options if not one.startswith("SIZE")])
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"

    def messages(self) -> list[EmailMessage]:
        return [
            email.message_from_bytes(content, policy=email.policy.SMTP)  # type: ignore[misc]
            for _, _, content in self.mails
        ]

    @contextmanager
    def serving(self, limit: int = 1 << 20) -> Iterator[None]:
        controller = Controller(
            self, hostname="127.0.0.1", port=self.port,
            enable_SMTPUTF8=self.utf8, data_size_limit=limit,
        )  # fmt: skip
        controller.start()
        try:
            yield
        finally:
            controller.stop()


@pytest.fixture
def attachment(tmp_path: Path) -> Attachment:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.7 " + bytes(range(256)))
    return Attachment(file, "Überblick – “2026”.pdf", Format.PDF)


def sender_of(
    port: int, attachment: Attachment, sender: str = "reports@example.com", **fields: Any
) -> EmailSender:
    spec = EmailDelivery.model_validate(
        {"to": ["a@example.com"], "smtp": {"secretRef": {"name": "report-smtp"}}, **fields}
    )
    content = EmailContent(
        sender=sender, subject="Größe", text="text ü", html="<p>ü</p>", schedule_uid="u1",
        schedule="reports/positions", slot=SLOT, run_id="positions.1", attachments=[attachment],
        to=spec.to, cc=spec.cc, reply_to=spec.reply_to or "",
    )  # fmt: skip
    server = SmtpSettings("127.0.0.1", port, sender, "", "", "none", None, "report-smtp")
    return EmailSender(
        server, Secrets(Path("none")), content, spec.targets(), lambda: datetime.now(UTC)
    )


def deliver(
    sender: EmailSender, entries: dict[str, LedgerEntry] | None = None
) -> list[DeliveryResult]:
    known = {} if entries is None else entries
    found: list[DeliveryResult] = []
    deliver_once(sender, Ledger("email", "positions.1", known, lambda: None, sender.clock), found)
    return found


def addresses(content: bytes, header: str) -> list[tuple[str, str]]:
    # email.policy.SMTP reads a space between two encoded words, against RFC 2047.
    message = email.message_from_bytes(content)
    found = getaddresses([str(message.get(header, ""))])
    return [(str(make_header(decode_header(name))), address) for name, address in found if address]


NAMES = [
    "Board", "Doe, Jane", 'The "Desk"', r"back\slash", "Müller, Jörg", "O'Neill (Risk) & Co.",
    "山田　太郎", "محمد", "=", "a" * 120, "ü" * 120, "Größe, " * 15 + "Ende", "😀 Team", "a; b: c",
]  # fmt: skip


def written(name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{NAMES.index(name)}@example.com>'


def test_names_arrive_as_they_were_written(attachment: Attachment) -> None:
    server = Server(free_port())
    to, cc = [written(name) for name in NAMES[:7]], [written(name) for name in NAMES[7:]]
    sender = sender_of(
        server.port, attachment, "Berichte, täglich <reports@example.com>",
        to=to, cc=cc, replyTo='"Tisch, Köln" <desk@example.com>',
    )  # fmt: skip
    with server.serving():
        deliver(sender)
    assert len(server.mails) == len(NAMES)
    for envelope_sender, _, content in server.mails:
        assert envelope_sender == "reports@example.com"
        assert addresses(content, "From") == [("Berichte, täglich", "reports@example.com")]
        assert addresses(content, "Reply-To") == [("Tisch, Köln", "desk@example.com")]
        both = addresses(content, "To") + addresses(content, "Cc")
        assert both == [(name, f"{number}@example.com") for number, name in enumerate(NAMES)]
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 998


def test_everybody_is_sent_one_mail_and_bcc_is_in_none(attachment: Attachment) -> None:
    server = Server(free_port())
    sender = sender_of(
        server.port, attachment,
        to=["A <a@example.com>", "b@example.com"],
        cc=["B again <B@example.com>", "c@example.com"],
        bcc=["hidden@example.com", "c@EXAMPLE.com", "a@example.com"],
    )  # fmt: skip
    entries: dict[str, LedgerEntry] = {}
    with server.serving():
        results = deliver(sender, entries)
        again = deliver(sender, entries)
    everybody = ["a@example.com", "b@example.com", "c@example.com", "hidden@example.com"]
    assert [recipients for _, recipients, _ in server.mails] == [[one] for one in everybody]
    assert [result.recipient for result in results] == list(entries) == everybody
    assert {result.status.value for result in again} == {"alreadySent"}
    for _, _, content in server.mails:
        assert addresses(content, "To") == [("A", "a@example.com"), ("", "b@example.com")]
        assert addresses(content, "Cc") == [("", "c@example.com")]
        assert b"hidden" not in content.partition(b"\r\n\r\n")[0]
        assert b"\nBcc:" not in content


def test_without_cc_each_recipient_sees_the_own_address_alone(attachment: Attachment) -> None:
    server = Server(free_port())
    sender = sender_of(
        server.port, attachment, to=["A <a@example.com>", "b@example.com"], bcc=["x@example.com"]
    )
    with server.serving():
        deliver(sender)
    a, b, hidden = (content for _, _, content in server.mails)
    assert addresses(a, "To") == [("A", "a@example.com")]
    assert addresses(b, "To") == [("", "b@example.com")]
    assert addresses(hidden, "To") == [("A", "a@example.com"), ("", "b@example.com")]
    assert b"\nCc:" not in a + b + hidden


@pytest.mark.parametrize("eight_bit", [True, False])
@pytest.mark.parametrize("utf8", [True, False])
def test_a_domain_outside_of_ascii_is_reached_by_every_server(
    attachment: Attachment, utf8: bool, eight_bit: bool
) -> None:
    """In ASCII also where the server offers more: the next one on the way may not."""
    server = Server(free_port(), utf8=utf8, eight_bit=eight_bit)
    sender = sender_of(server.port, attachment, "r@bücher.example", to=["Jörg <j@straße.example>"])
    with server.serving():
        (result,) = deliver(sender)
    assert (result.recipient, result.status.value) == ("j@straße.example", "sent")
    ((envelope_sender, recipients, content),) = server.mails
    assert envelope_sender == "r@xn--bcher-kva.example"
    assert recipients == ["j@xn--strae-oqa.example"]
    assert content.isascii()
    assert server.options == [[]]


@pytest.mark.parametrize("eight_bit", [True, False])
def test_an_address_outside_of_ascii_needs_a_server_with_smtputf8(
    attachment: Attachment, eight_bit: bool
) -> None:
    server = Server(free_port(), utf8=True, eight_bit=eight_bit)
    sender = sender_of(
        server.port, attachment, "bérichte@example.com",
        to=["José <josé@bücher.example>", "a@example.com"], replyTo="ü@example.com",
    )  # fmt: skip
    with server.serving():
        results = deliver(sender)
    assert [result.status.value for result in results] == ["sent", "sent"]
    assert [(one, to) for one, to, _ in server.mails] == [
        ("bérichte@example.com", ["josé@bücher.example"]),
        ("bérichte@example.com", ["a@example.com"]),
    ]
    expected = ["SMTPUTF8", "BODY=8BITMIME"] if eight_bit else ["SMTPUTF8"]
    assert [sorted(one) for one in server.options] == [sorted(expected)] * 2
    head, _, body = server.mails[0][2].partition(b"\r\n\r\n")
    assert "<josé@bücher.example>".encode() in head
    assert "text ü".encode() not in body  # texts are in seven bits all the same
    message = email.message_from_bytes(server.mails[0][2], policy=email.policy.SMTPUTF8)
    assert message["Subject"] == "Größe"


def test_only_who_cannot_be_reached_is_refused(attachment: Attachment) -> None:
    server, entries = Server(free_port(), utf8=False), dict[str, LedgerEntry]()
    sender = sender_of(
        server.port, attachment, to=["José <josé@example.com>", "a@example.com"],
        cc=["C <c@example.com>"],
    )  # fmt: skip
    with server.serving():
        refused, *others = deliver(sender, entries)
    assert refused.status.value == "failed"
    assert refused.error is not None
    assert refused.error.startswith("josé@example.com has letters outside of ASCII before the @")
    assert "SMTPUTF8" in refused.error
    assert "write an address in ASCII, or name a server" in refused.error
    assert entries["josé@example.com"].state is LedgerState.FAILED
    assert [result.status.value for result in others] == ["sent", "sent"]
    for message, (_, _, content) in zip(server.messages(), server.mails, strict=True):
        # He is named, and cannot be answered there: RFC 6857.
        assert [group.display_name for group in message["To"].groups] == ["josé@example.com", None]
        assert addresses(content, "To") == [("", "a@example.com")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sender": "bé@example.com"}, r"Secret report-smtp, key from: the address has letters"),
        ({"replyTo": "R <bé@example.com>"}, r"email.replyTo: bé@example.com has letters outside"),
    ],
)
def test_a_sender_outside_of_ascii_is_told_before_anything_is_sent(
    attachment: Attachment, changed: dict[str, Any], said: str
) -> None:
    server = Server(free_port(), utf8=False)
    with server.serving(), pytest.raises(RunError, match=said) as caught:
        deliver(sender_of(server.port, attachment, **changed))
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert server.mails == []


def test_a_mail_that_the_server_would_not_take_is_not_begun(attachment: Attachment) -> None:
    server, entries = Server(free_port()), dict[str, LedgerEntry]()
    attachment.path.write_bytes(b"x" * 200_000)
    sender = sender_of(server.port, attachment, to=["a@example.com", "b@example.com"])
    said = r"spec\.delivery\.email\.attach: a mail with .*\.pdf has 27\d,\d{3} bytes, .* 100,000 at"
    with server.serving(limit=100_000), pytest.raises(RunError, match=said) as caught:
        deliver(sender, entries)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert (server.mails, server.options, entries) == ([], [], {})
    with server.serving(limit=0):  # no limit
        assert [result.status.value for result in deliver(sender, entries)] == ["sent", "sent"]


def test_an_attachment_keeps_its_name_and_bytes(attachment: Attachment) -> None:
    server = Server(free_port())
    with server.serving():
        deliver(sender_of(server.port, attachment))
    (message,) = server.messages()
    (part,) = message.iter_attachments()
    assert part.get_filename() == attachment.name
    assert part.get_content() == attachment.path.read_bytes()
    assert b"filename*=utf-8''%C3%9Cberblick" in server.mails[0][2].replace(b"*0*=", b"*=")


@pytest.mark.parametrize("written", ["a@example.com", "A@Example.com"])
def test_who_got_it_before_an_upgrade_is_not_sent_another(
    attachment: Attachment, written: str
) -> None:
    """The ledger of an earlier version knows an address alone, as the schedule had it."""
    server = Server(free_port())
    sender = sender_of(
        server.port, attachment, "Reports <reports@example.com>", bcc=["Anne <a@example.com>"],
        to=["b@example.com"],
    )  # fmt: skip
    before = replace(sender.content, sender="reports@example.com", to=())
    entry = LedgerEntry(
        message_id=message_id(before, written), state=LedgerState.SENT, at=SLOT, run_id="old"
    )
    with server.serving():
        results = deliver(sender, {written: entry})
    assert [(one.recipient, one.status.value) for one in results] == [
        ("b@example.com", "sent"), ("a@example.com", "alreadySent"),
    ]  # fmt: skip
    assert results[1].message_id == message_id(sender.content, "a@example.com")
    assert [recipients for _, recipients, _ in server.mails] == [["b@example.com"]]
