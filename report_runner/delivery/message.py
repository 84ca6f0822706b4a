"""The mail: one message for each recipient, the same one however often it is made."""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
import unicodedata
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
from report_runner.models import RunError

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
class EmailContent:
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


def message_id(letter: EmailContent, recipient: str) -> str:
    """Stable for slot and recipient: a mail server that gets it twice can tell."""
    key = f"{letter.schedule_uid}\n{letter.slot.isoformat()}\n{recipient.lower()}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"<{digest}@{letter.sender.rpartition('@')[2]}>"


# RFC 2047: "=?charset?B?...?=". Python's own parser is laxer than the RFC, and so is this.
_ENCODED_WORD = re.compile(r"=\?([^?]*)\?([bq])\?(.*?)\?=", re.IGNORECASE | re.DOTALL)
_CONTROL_BYTE = re.compile(rb"[\x00-\x1f\x7f]")
_DECODINGS = 5  # an encoded word may hold another one
# Control characters, what Python or a mail program takes for a line's end, halves of characters.
_FORBIDDEN = ("Cc", "Zl", "Zp", "Cs")


def header_value(text: str, field: str) -> str:
    """The text, if it is one line, also when its encoded words are decoded.

    Python decodes those and before 3.11.10 writes the line breaks in them out (CVE-2024-6923).
    Raises RunError(ConfigurationError) otherwise.
    """
    read = text
    for _ in range(_DECODINGS):
        if any(unicodedata.category(character) in _FORBIDDEN for character in read):
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"{field} has a line break or another control character; it has to be one line",
            )
        decoded = _ENCODED_WORD.sub(_decoded, read)
        if decoded == read:
            return text
        read = decoded
    raise RunError(
        Reason.CONFIGURATION_ERROR,
        f"{field} has encoded words inside of encoded words; write it as plain text",
    )


def _decoded(word: re.Match[str]) -> str:
    """The text of an encoded word; a line break where it cannot be told, so that it is refused."""
    charset, encoding, content = word.groups()
    try:
        if encoding in "bB":
            raw = base64.b64decode(content + "=" * (-len(content) % 4))
        else:
            raw = quopri.decodestring(content.encode(), header=True)
        if _CONTROL_BYTE.search(raw):  # whatever a reader takes for the charset
            return "\n"
        # Of a language tag (RFC 2231) nothing is wanted.
        return raw.decode(charset.partition("*")[0])
    except (LookupError, ValueError):
        return "\n"


def check_headers(letter: EmailContent, recipients: Sequence[str]) -> None:
    """Raises RunError(ConfigurationError), naming the field, where a header cannot be written.

    Called before anything is sent: no recipient gets a mail that another one cannot get.
    """
    for recipient in recipients:
        _headers(letter, recipient)
    for attachment in letter.attachments:
        header_value(attachment.name, "attachment name")


def _headers(letter: EmailContent, recipient: str) -> dict[str, str | Address]:
    """What depends on the report and not on the hour."""
    return {
        "From": _address(letter.sender, "the smtp Secret's key from"),
        "To": _address(recipient, "spec.delivery.email.to"),
        "Subject": header_value(letter.subject, "spec.delivery.email.subject"),
        "Message-ID": header_value(message_id(letter, recipient), "Message-ID"),
        "X-Report-Schedule": header_value(letter.schedule, "name"),
        "X-Report-Run": header_value(letter.run_id, "run id"),
    }


def compose(letter: EmailContent, recipient: str, now: datetime) -> EmailMessage:
    """The message for one recipient."""
    message = EmailMessage(policy=SMTP)
    for name, value in _headers(letter, recipient).items():
        message[name] = value
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Report-Slot"] = f"{letter.slot:%Y-%m-%dT%H:%M:%SZ}"
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
    except (ValueError, IndexError, HeaderParseError):
        # Not the text: it may be a Secret's.
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}: not a mail address") from None
