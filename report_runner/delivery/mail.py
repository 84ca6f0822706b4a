"""Sending by SMTP, with a ledger: nobody gets the report of a slot twice.

A server takes a message only when the line that ends it has come (RFC 5321, 4.1.1.4). Right
before that line the ledger is told. Whoever is stopped earlier has sent nothing; whoever is
stopped between that line and the server's answer does not know, says so, and does not send again.
"""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.reasons import Reason
from report_runner.contract.result import DeliveryResult, DeliveryStatus
from report_runner.delivery.message import EmailContent, check_headers, compose, message_id
from report_runner.manifest import LedgerEntry, LedgerState
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

logger = logging.getLogger(__name__)

SMTP_SECONDS = 30.0
FIELD = "spec.delivery.email.smtp.secretRef"
ANSWER_LIMIT = 200  # characters
DATA_WANTED = 354
REFUSAL = 400  # and above: the server has not taken it


class SmtpClient(smtplib.SMTP):
    """A connection that calls `before_end` right before it ends a message."""

    before_end: Callable[[], None]

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        """As smtplib's own, with the end of the message apart."""
        code, answer = self.docmd("data")
        if code != DATA_WANTED:
            raise smtplib.SMTPDataError(code, answer)
        content = msg.encode("ascii") if isinstance(msg, str) else msg
        content = re.sub(rb"(?m)^\.", b"..", content)
        self.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        self.before_end()
        self.send(b".\r\n")
        return self.getreply()


class SmtpTlsClient(SmtpClient, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


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


@dataclass(slots=True)
class EmailSender:
    """Delivers one letter to its recipients, and writes each step into the ledger first."""

    server: SmtpSettings
    secrets: Secrets
    letter: EmailContent
    ledger: dict[str, LedgerEntry]
    save: Callable[[], None]  # makes the ledger durable
    clock: Callable[[], datetime]

    def deliver(self, recipients: list[str]) -> list[DeliveryResult]:
        """What became of each recipient.

        Raises RunError(ConfigurationError) where the server refuses the login or the sender,
        RunError(DeliveryFailed) where it cannot be reached; who has the report stays in the
        ledger either way.
        """
        known = {name: self._known(name) for name in recipients}
        results = {name: result for name, result in known.items() if result is not None}
        open_ones = [name for name in recipients if name not in results]
        if open_ones:
            check_headers(self.letter, open_ones)
            try:
                client = self.server.connect()
            except (OSError, smtplib.SMTPException) as error:
                raise self._connect_error(error) from error
            with closing(client):  # and nothing more, where the run is stopped in a message
                for name in open_ones:
                    results[name] = self._send(client, name)
                with suppress(OSError, smtplib.SMTPException):
                    client.quit()
        return [results[name] for name in recipients]

    def _known(self, recipient: str) -> DeliveryResult | None:
        """What an earlier attempt settled; None where the message is to be sent."""
        entry = self.ledger.get(recipient)
        if entry is not None and entry.state is LedgerState.SENT:
            return DeliveryResult(
                recipient=recipient,
                status=DeliveryStatus.ALREADY_SENT,
                message_id=entry.message_id,
            )
        # Another run id is a new attempt of the slot, which a person asked for.
        if (
            entry is not None
            and entry.state is LedgerState.SENDING
            and entry.run_id == self.letter.run_id
        ):
            return self._uncertain(recipient)
        return None

    def _uncertain(self, recipient: str) -> DeliveryResult:
        identity = message_id(self.letter, recipient)
        return DeliveryResult(
            recipient=recipient,
            status=DeliveryStatus.UNCERTAIN,
            message_id=identity,
            error="the mail server's answer was not received; it is not sent again in this run, "
            f"ask the mail server for Message-ID {identity}",
        )

    def _send(self, client: SmtpClient, recipient: str) -> DeliveryResult:
        identity = message_id(self.letter, recipient)
        message = compose(self.letter, recipient, self.clock())
        client.before_end = lambda: self._note(recipient, LedgerState.SENDING, "")
        try:
            client.send_message(message, from_addr=self.letter.sender, to_addrs=[recipient])
        except (OSError, smtplib.SMTPException) as error:
            answer = self._answer(error)
            logger.warning("%s: %s", recipient, answer)
            if self._may_have_it(recipient) and not _refused(error):
                return self._uncertain(recipient)
            self._note(recipient, LedgerState.FAILED, answer)
            return DeliveryResult(
                recipient=recipient,
                status=DeliveryStatus.FAILED,
                message_id=identity,
                error=answer,
            )
        self._note(recipient, LedgerState.SENT, "accepted")
        return DeliveryResult(recipient=recipient, status=DeliveryStatus.SENT, message_id=identity)

    def _may_have_it(self, recipient: str) -> bool:
        entry = self.ledger.get(recipient)
        return entry is not None and entry.state is LedgerState.SENDING

    def _note(self, recipient: str, state: LedgerState, answer: str) -> None:
        self.ledger[recipient] = LedgerEntry(
            message_id=message_id(self.letter, recipient),
            state=state,
            at=self.clock(),
            run_id=self.letter.run_id,
            answer=answer,
        )
        self.save()

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
        # Before it is cut: a half of a value would not be known again.
        return " ".join(self.secrets.redact(text).split())[:ANSWER_LIMIT]


def _refused(error: OSError | smtplib.SMTPException) -> bool:
    """Whether the server said no, rather than nothing."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= REFUSAL
    return isinstance(error, smtplib.SMTPRecipientsRefused)
