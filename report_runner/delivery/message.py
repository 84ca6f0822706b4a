"""The mail: one message for each recipient, the same one however often it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.data import RunError

MEDIA_TYPES = {
    Format.PDF: ("application", "pdf"),
    Format.HTML: ("text", "html"),
    Format.CSV: ("text", "csv"),
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A finished file, and the name that the recipient sees."""

    path: Path
    name: str
    format: Format


@dataclass(frozen=True, slots=True)
class Letter:
    """What all recipients of a slot get."""

    sender: str
    subject: str
    text: str
    html: str
    schedule_uid: str
    schedule: str  # namespace/name
    slot: datetime
    run_id: str
    attachments: Sequence[Attachment]


def message_id(letter: Letter, recipient: str) -> str:
    """Stable for slot and recipient: a mail server that gets it twice can tell."""
    key = f"{letter.schedule_uid}\n{letter.slot.isoformat()}\n{recipient.lower()}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"<{digest}@{letter.sender.rpartition('@')[2]}>"


def header_value(text: str, field: str) -> str:
    """The text, if it is one line.

    Python's own check before 3.11.10 lets line breaks through (CVE-2024-6923).
    Raises RunError(ConfigurationError) otherwise.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{field} has a line break or another control character; it has to be one line",
        )
    return text


def compose(letter: Letter, recipient: str, now: datetime) -> EmailMessage:
    """The message for one recipient."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(letter.sender, "the smtp Secret's key from")
    message["To"] = _address(recipient, "spec.delivery.email.to")
    message["Subject"] = header_value(letter.subject, "spec.delivery.email.subject")
    message["Date"] = format_datetime(now)
    message["Message-ID"] = header_value(message_id(letter, recipient), "Message-ID")
    message["Auto-Submitted"] = "auto-generated"
    message["X-Report-Schedule"] = header_value(letter.schedule, "name")
    message["X-Report-Slot"] = f"{letter.slot:%Y-%m-%dT%H:%M:%SZ}"
    message["X-Report-Run"] = header_value(letter.run_id, "run id")
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    for attachment in letter.attachments:
        kind, subtype = MEDIA_TYPES[attachment.format]
        message.add_attachment(
            attachment.path.read_bytes(),
            maintype=kind,
            subtype=subtype,
            filename=header_value(attachment.name, "attachment name"),
        )
    return message


def _address(text: str, field: str) -> Address:
    local, at, domain = header_value(text, field).rpartition("@")
    try:
        return Address(username=local, domain=domain) if at else Address(addr_spec=text)
    except (ValueError, HeaderParseError) as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"{field}: {text!r} is not a mail address: {error}"
        ) from error
