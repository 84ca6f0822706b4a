"""The e-mail message: one for each recipient, equal for every attempt except its date."""

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
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from report_runner.contract.moments import style_of
from report_runner.contract.reasons import Reason
from report_runner.delivery.channel import Attachment
from report_runner.models import RenderInput, RunError

_TEMPLATES = Environment(
    loader=PackageLoader("report_runner"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
)


@dataclass(frozen=True, slots=True)
class EmailContent:
    """The content that all recipients of a slot share."""

    sender: str
    subject: str
    text: str
    html: str
    schedule_uid: str
    schedule: str  # namespace/name
    slot: datetime
    run_id: str
    attachments: Sequence[Attachment]


# Seven bits in every part: a server need not offer 8BITMIME (RFC 6152).
_POLICY = SMTP.clone(cte_type="7bit")


def email_bodies(data: RenderInput) -> tuple[str, str]:
    """Plain text and HTML, from the templates email.txt.j2 and email.html.j2."""
    slot = data.slot.astimezone(ZoneInfo(data.time_zone))
    scheduled_for = f"{style_of([slot]).text(slot)} {data.time_zone}"
    text, html = (
        _TEMPLATES.get_template(name).render(report=data, scheduled_for=scheduled_for)
        for name in ("email.txt.j2", "email.html.j2")
    )
    return text, html


def message_id(content: EmailContent, recipient: str) -> str:
    """Stable for slot and recipient, so that a mail server can recognise a repeated message."""
    key = f"{content.schedule_uid}\n{content.slot.isoformat()}\n{recipient.lower()}"
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"<{digest}@{content.sender.rpartition('@')[2]}>"


# RFC 2047: "=?charset?B?...?=". Python's own parser is laxer than the RFC, and so is this.
_ENCODED_WORD = re.compile(r"=\?([^?]*)\?([bq])\?(.*?)\?=", re.IGNORECASE | re.DOTALL)
_CONTROL_BYTE = re.compile(rb"[\x00-\x1f\x7f]")
_DECODINGS = 5  # an encoded word may hold another one
# Control characters, line ends as Python or a mail program reads them, lone surrogates.
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
    """The text of an encoded word; a line break, which is refused, where it cannot be decoded."""
    charset, encoding, content = word.groups()
    try:
        if encoding in "bB":
            raw = base64.b64decode(content + "=" * (-len(content) % 4))
        else:
            raw = quopri.decodestring(content.encode(), header=True)
        if _CONTROL_BYTE.search(raw):  # in any charset
            return "\n"
        # The language tag (RFC 2231) is dropped.
        return raw.decode(charset.partition("*")[0])
    except (LookupError, ValueError):
        return "\n"


def check_headers(content: EmailContent, recipients: Sequence[str]) -> None:
    """Raises RunError(ConfigurationError), naming the field, where a header cannot be written.

    Called before anything is sent: no recipient gets a mail that another one cannot get.
    """
    for recipient in recipients:
        _headers(content, recipient)
    for attachment in content.attachments:
        header_value(attachment.name, "attachment name")


def _headers(content: EmailContent, recipient: str) -> dict[str, str | Address]:
    """The headers that depend on the report and not on the time of sending."""
    return {
        "From": _address(content.sender, "the smtp Secret's key from"),
        "To": _address(recipient, "spec.delivery.email.to"),
        "Subject": header_value(content.subject, "spec.delivery.email.subject"),
        "Message-ID": header_value(message_id(content, recipient), "Message-ID"),
        "X-Report-Schedule": header_value(content.schedule, "name"),
        "X-Report-Run": header_value(content.run_id, "run id"),
    }


def compose(content: EmailContent, recipient: str, now: datetime) -> EmailMessage:
    """The message for one recipient."""
    message = EmailMessage(policy=_POLICY)
    for name, value in _headers(content, recipient).items():
        message[name] = value
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Report-Slot"] = f"{content.slot:%Y-%m-%dT%H:%M:%SZ}"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    for attachment in content.attachments:
        kind, _, subtype = attachment.format.media_type.partition(";")[0].partition("/")
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
        # The message does not quote the text: it may come from a Secret.
        raise RunError(Reason.CONFIGURATION_ERROR, f"{field}: not a mail address") from None
