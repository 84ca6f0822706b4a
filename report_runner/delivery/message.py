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
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Self
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from report_runner.contract.mailbox import (
    Mailbox,
    MailboxError,
    distinct,
    mailbox_identity,
    parse_mailbox,
)
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

    sender: str  # an address, alone or after a name
    subject: str
    text: str
    html: str
    schedule_uid: str
    schedule: str  # namespace/name
    slot: datetime
    run_id: str
    attachments: Sequence[Attachment]
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    reply_to: str = ""
    edition: str = ""  # the run of a report that replaces one that was sent


FROM_FIELD = "the smtp Secret's key from"
REPLY_TO_FIELD = "spec.delivery.email.replyTo"
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
# Seven bits in every part: a server need not offer 8BITMIME (RFC 6152).
_POLICY = SMTP.clone(cte_type="7bit")


def email_bodies(data: RenderInput, *, replaces: bool = False) -> tuple[str, str]:
    """Plain text and HTML, from the templates email.txt.j2 and email.html.j2.

    `replaces`: the report of this slot was sent before.
    """
    slot = data.slot.astimezone(ZoneInfo(data.time_zone))
    scheduled_for = f"{style_of([slot]).text(slot)} {data.time_zone}"
    text, html = (
        _TEMPLATES.get_template(name).render(
            report=data, scheduled_for=scheduled_for, replaces=replaces
        )
        for name in ("email.txt.j2", "email.html.j2")
    )
    return text, html


def message_id(content: EmailContent, recipient: str) -> str:
    """Stable for slot, recipient and edition: a mail server can recognise a repeated message."""
    identity = mailbox_identity(recipient)
    key = f"{content.schedule_uid}\n{content.slot.isoformat()}\n{identity}"
    if content.edition:
        key += f"\n{content.edition}"
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"<{digest}@{read_mailbox(content.sender, FROM_FIELD).ascii_domain}>"


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
        _headers(content, recipient, utf8=False)
    for attachment in content.attachments:
        header_value(attachment.name, "attachment name")


def _headers(content: EmailContent, recipient: str, *, utf8: bool) -> dict[str, str]:
    """The headers that depend on the report and not on the time of sending."""
    to, cc = addressees(content, recipient)
    found = {
        "From": AddressHeader("From", [read_mailbox(content.sender, FROM_FIELD)], utf8),
        "To": AddressHeader("To", to, utf8),
        "Subject": _subject(header_value(content.subject, "spec.delivery.email.subject"), utf8),
        "Message-ID": header_value(message_id(content, recipient), "Message-ID"),
        "X-Report-Schedule": header_value(content.schedule, "name"),
        "X-Report-Run": header_value(content.run_id, "run id"),
    }
    if cc:
        found["Cc"] = AddressHeader("Cc", cc, utf8)
    if content.reply_to:
        reply_to = read_mailbox(content.reply_to, REPLY_TO_FIELD)
        found["Reply-To"] = AddressHeader("Reply-To", [reply_to], utf8)
    return found


def _subject(text: str, utf8: bool) -> str:
    return text if utf8 or text.isascii() else EncodedHeader("Subject", text)


def addressees(content: EmailContent, recipient: str) -> tuple[list[Mailbox], list[Mailbox]]:
    """To and Cc as a recipient sees them.

    Without cc he sees himself alone; with cc all of both, as in any mail. One of bcc is in
    neither: he sees them as they are.
    """
    own = read_mailbox(recipient, "spec.delivery.email.to")
    to = distinct(read_mailbox(text, "spec.delivery.email.to") for text in content.to)
    both = distinct([*to, *(read_mailbox(text, "spec.delivery.email.cc") for text in content.cc)])
    cc = both[len(to) :]
    if not to:
        return [own], []
    named = [mailbox for mailbox in both if mailbox.identity == own.identity]
    if cc or not named:
        return to, cc
    return named, []


def needs_utf8(content: EmailContent, recipient: str) -> bool:
    """Whether an address of the mail has letters outside of ASCII before the @."""
    to, cc = addressees(content, recipient)
    others = [content.sender, recipient, *([content.reply_to] if content.reply_to else [])]
    mailboxes = [*to, *cc, *map(parse_mailbox, others)]
    return any(mailbox.ascii_address is None for mailbox in mailboxes)


def compose(
    content: EmailContent, recipient: str, now: datetime, *, utf8: bool = False
) -> EmailMessage:
    """The message for one recipient; `utf8`: for a server with SMTPUTF8."""
    message = EmailMessage(policy=_POLICY.clone(utf8=utf8))
    for name, value in _headers(content, recipient, utf8=utf8).items():
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


def read_mailbox(text: str, field: str) -> Mailbox:
    """Raises RunError(ConfigurationError), which does not quote the text: it may be a Secret's."""
    header_value(text, field)
    try:
        return parse_mailbox(text)
    except MailboxError as error:
        told = f"{field}: not a mail address: {error}"
        raise RunError(Reason.CONFIGURATION_ERROR, told) from None


class EncodedHeader(str):
    """A text outside of ASCII as one run of encoded words.

    Python's own writer loses a blank where encoded words meet at the end of a line.
    """

    name: str
    __slots__ = ("name",)

    def __new__(cls, name: str, text: str) -> Self:
        header = super().__new__(cls, text)
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        """email.policy's hook: the header as lines."""
        words = Header(str(self), "utf-8", header_name=self.name)
        written = words.encode(splitchars="", linesep=policy.linesep)
        return f"{self.name}: {written}{policy.linesep}"


class AddressHeader(str):
    """A header of mailboxes, one on a line, written by itself.

    Python's own writer (before 3.11.12, CVE-2025-1795) encodes a comma between two addresses.
    `name` and `fold` are what email.policy asks of a value that knows how it is written.
    """

    name: str
    __slots__ = ("name",)

    def __new__(cls, name: str, mailboxes: Sequence[Mailbox], utf8: bool) -> Self:
        header = super().__new__(cls, ",\r\n ".join(_written(one, utf8) for one in mailboxes))
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        """email.policy's hook: the header as lines."""
        return f"{self.name}: {self}{policy.linesep}"


def _written(mailbox: Mailbox, utf8: bool) -> str:
    address = mailbox.ascii_address
    if utf8 and address is None:
        address = mailbox.address
    if address is None:
        # As RFC 6857, 3.1.8, has it where a server cannot take the address: a group of nobody.
        return f"{_encoded_word(mailbox.address)} :;"
    if not mailbox.name:
        return address
    if not mailbox.name.isascii():
        return f"{_encoded_word(mailbox.name)} <{address}>"
    if _ATOMS.fullmatch(mailbox.name):
        return f"{mailbox.name} <{address}>"
    quoted = re.sub(r'(["\\])', r"\\\1", mailbox.name)
    return f'"{quoted}" <{address}>'


def _encoded_word(text: str) -> str:
    return Header(text, "utf-8").encode(splitchars="", linesep="\r\n")
