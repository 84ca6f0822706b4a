"""Delivery by e-mail, over SMTP.

A server takes a message only when the line that ends it has come (RFC 5321, 4.1.1.4). Right
before that line the ledger is told; a run that is stopped earlier has sent nothing.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.mailbox import Mailbox, parse_mailbox
from report_runner.contract.reasons import Reason
from report_runner.delivery.channel import (
    AnswerKind,
    DeliveryAnswer,
    DeliveryContext,
    DeliveryTarget,
)
from report_runner.delivery.message import (
    REPLY_TO_FIELD,
    EmailContent,
    check_headers,
    compose,
    email_bodies,
    message_id,
    needs_utf8,
)
from report_runner.models import RunError
from report_runner.mounted import (
    SECURITIES,
    Check,
    Secrets,
    ascii_line,
    host,
    mail_address,
    one_of,
    port,
)

SMTP_SECONDS = 30.0
ACCEPT_SECONDS = 600.0  # for a message to be taken: it may be scanned first (RFC 5321, 4.5.3.2.6)
FIELD = "spec.delivery.email.smtp.secretRef"
ANSWER_LIMIT = 200  # characters
DATA_WANTED = 354
REFUSAL = 400  # and above: the server has refused the message


class SmtpClient(smtplib.SMTP):
    """A connection that calls `before_end` right before it ends a message."""

    before_end: Callable[[], None]
    taken: tuple[int, bytes] = (0, b"")  # the answer to the last message

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        """As in smtplib, but the line that ends the message is sent apart."""
        code, answer = self.docmd("data")
        if code != DATA_WANTED:
            raise smtplib.SMTPDataError(code, answer)
        content = msg.encode("ascii") if isinstance(msg, str) else msg
        content = re.sub(rb"(?m)^\.", b"..", content)
        self.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        self.before_end()
        self.send(b".\r\n")
        if self.sock is not None:
            self.sock.settimeout(ACCEPT_SECONDS)
        reply = self.getreply()
        if self.sock is not None:
            self.sock.settimeout(SMTP_SECONDS)
        self.taken = reply
        return reply


class SmtpTlsClient(SmtpClient, smtplib.SMTP_SSL):
    """A connection that is encrypted from its first byte."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server, from its Secret."""

    host: str
    port: int
    sender: str
    username: str
    password: str
    security: str
    ca: Path | None
    secret: str

    def connect(self) -> SmtpClient:
        """Connected, encrypted and logged in. Raises OSError or smtplib.SMTPException."""
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        if self.security == "tls":
            client: SmtpClient = SmtpTlsClient(
                self.host, self.port, timeout=SMTP_SECONDS, context=context
            )
        else:
            client = SmtpClient(self.host, self.port, timeout=SMTP_SECONDS)
            if self.security == "starttls":
                client.starttls(context=context)
        if self.username:
            client.login(self.username, self.password)
        client.ehlo_or_helo_if_needed()  # what it offers decides how a mail is written
        return client


def read_server(delivery: EmailDelivery, secrets: Secrets) -> SmtpSettings:
    """The mail server of a delivery. Raises RunError(ConfigurationError)."""
    secret = delivery.smtp.secret_ref.name

    def key(name: str, check: Check, default: str | None = None) -> str:
        return secrets.read(secret, name, FIELD, check, default)

    return SmtpSettings(
        host=key("host", host),
        port=int(key("port", port, "587")),
        sender=key("from", mail_address),
        username=key("username", ascii_line, ""),
        password=key("password", ascii_line, ""),
        security=key("security", one_of(SECURITIES), "starttls"),
        ca=secrets.certificates(secret, FIELD),
        secret=secret,
    )


def email_channel(spec: EmailDelivery, context: DeliveryContext) -> EmailSender:
    """The channel of spec.delivery.email. Raises RunError(ConfigurationError)."""
    definition, run = context.definition, context.run
    text, html = email_bodies(context.data, replaces=bool(context.edition))
    server = read_server(spec, context.secrets)
    content = EmailContent(
        sender=server.sender,
        subject=context.subject,
        text=text,
        html=html,
        schedule_uid=definition.uid,
        schedule=f"{definition.namespace}/{definition.name}",
        slot=run.slot,
        run_id=run.run_id,
        attachments=[file for file in context.files if file.format in spec.attach],
        to=spec.to,
        cc=spec.cc,
        reply_to=spec.reply_to or "",
        edition=context.edition,
    )
    return EmailSender(server, context.secrets, content, spec.targets(), context.clock)


@dataclass(slots=True)
class EmailSender:
    """The e-mail channel: a message of its own for each recipient, over one connection."""

    server: SmtpSettings
    secrets: Secrets
    content: EmailContent
    recipients: Sequence[str]
    clock: Callable[[], datetime]

    def plan(self) -> list[DeliveryTarget]:
        return [DeliveryTarget(name, message_id(self.content, name)) for name in self.recipients]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        """See Channel.

        Raises RunError(ConfigurationError) where a header cannot be written or the server refuses
        the login, RunError(DeliveryFailed) where it cannot be reached.
        """
        check_headers(self.content, [target.name for target in targets])
        try:
            client = self.server.connect()
        except (OSError, smtplib.SMTPException) as error:
            raise self._connect_error(error) from error
        try:
            self._check_senders(client)
            for target in targets:
                if client.sock is None:  # the server, or a time-out, has ended the connection
                    try:
                        client = self.server.connect()
                    except (OSError, smtplib.SMTPException) as error:
                        yield DeliveryAnswer(target, AnswerKind.REFUSED, self._answer(error))
                        continue
                yield self._send(client, target, begin)
            with suppress(OSError, smtplib.SMTPException):
                client.quit()
        finally:
            client.close()  # without QUIT, where the run is stopped in a message

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        """Always UNKNOWN: SMTP has no way to ask for a message that was sent."""
        return DeliveryAnswer(
            target,
            AnswerKind.UNKNOWN,
            "the mail server's answer was not received; it is not sent again in this run, "
            f"ask the mail server for Message-ID {target.message_id}",
        )

    def _send(
        self, client: SmtpClient, target: DeliveryTarget, begin: Callable[[DeliveryTarget], None]
    ) -> DeliveryAnswer:
        recipient = parse_mailbox(target.name)
        utf8 = needs_utf8(self.content, target.name) and client.has_extn("smtputf8")
        if recipient.ascii_address is None and not utf8:
            return DeliveryAnswer(target, AnswerKind.REFUSED, _no_utf8(recipient.address))
        message = compose(self.content, target.name, self.clock(), utf8=utf8).as_bytes()
        self._check_size(client, len(message))
        client.before_end = lambda: begin(target)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        try:
            client.sendmail(
                _envelope(parse_mailbox(self.content.sender), utf8),
                [_envelope(recipient, utf8)],
                message,
                [name for name in options if client.has_extn(name.removeprefix("BODY="))],
            )
        except (OSError, smtplib.SMTPException) as error:
            kind = AnswerKind.REFUSED if _refused(error) else AnswerKind.UNKNOWN
            return DeliveryAnswer(target, kind, self._answer(error))
        code, answer = client.taken  # names the message as the server's own log does
        return DeliveryAnswer(target, AnswerKind.ACCEPTED, f"{code} {self._text(answer)}")

    def _check_senders(self, client: SmtpClient) -> None:
        """Raises RunError(ConfigurationError) where no mail could be written."""
        if client.has_extn("smtputf8"):
            return
        for text, field in (
            (self.content.sender, f"{FIELD}: Secret {self.server.secret}, key from"),
            (self.content.reply_to, REPLY_TO_FIELD),
        ):
            if text and parse_mailbox(text).ascii_address is None:
                shown = "the address" if field != REPLY_TO_FIELD else parse_mailbox(text).address
                raise RunError(Reason.CONFIGURATION_ERROR, f"{field}: {_no_utf8(shown)}")

    def _check_size(self, client: SmtpClient, size: int) -> None:
        """Raises RunError(ConfigurationError) where the server says that it takes no such mail."""
        limit = client.esmtp_features.get("size", "")
        if not limit.isdigit() or not 0 < int(limit) < size:
            return
        files = ", ".join(file.name for file in self.content.attachments) or "no attachment"
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"spec.delivery.email.attach: a mail with {files} has {size:,} bytes, and the mail "
            f"server (Secret {self.server.secret}) takes {int(limit):,} at most: attach fewer "
            "formats, make the report smaller, or have the server take larger mails",
        )

    def _connect_error(self, error: OSError | smtplib.SMTPException) -> RunError:
        self.secrets.show_known_host(self.server.secret)
        server = self.secrets.redact(self.server.host)
        where = f"mail server {server}:{self.server.port} (Secret {self.server.secret})"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return RunError(
                Reason.CONFIGURATION_ERROR, f"{where} refuses the login: {self._answer(error)}"
            )
        if isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError):
            return RunError(
                Reason.CONFIGURATION_ERROR,
                f"{where}: {self._answer(error)}; see the Secret's keys security and ca.crt",
            )
        return RunError(Reason.DELIVERY_FAILED, f"{where} cannot be used: {self._answer(error)}")

    def _answer(self, error: OSError | smtplib.SMTPException) -> str:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = next(iter(error.recipients.values()))
            return f"recipient refused: {code} {self._text(text)}"
        if isinstance(error, smtplib.SMTPResponseException):
            return f"{error.smtp_code} {self._text(error.smtp_error)}"
        return self._text(str(error) or type(error).__name__)

    def _text(self, answer: bytes | str) -> str:
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        # Redacted before it is cut: half of a value would not be recognised.
        return " ".join(self.secrets.redact(text).split())[:ANSWER_LIMIT]


def _envelope(mailbox: Mailbox, utf8: bool) -> str:
    # In ASCII where that is possible: a server on the way may not have SMTPUTF8.
    return mailbox.address if utf8 and not mailbox.local.isascii() else mailbox.ascii_address or ""


def _no_utf8(address: str) -> str:
    return (
        f"{address} has letters outside of ASCII before the @, and the mail server takes none "
        "(it does not offer SMTPUTF8): write an address in ASCII, or name a server that offers it"
    )


def _refused(error: OSError | smtplib.SMTPException) -> bool:
    """Whether the server answered that it does not take the message."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= REFUSAL
    return isinstance(error, smtplib.SMTPRecipientsRefused)
