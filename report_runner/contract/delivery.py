"""Where a finished report goes."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from report_runner.contract.mailbox import (
    ADDRESS_LIMIT,
    ENCODED_MESSAGE,
    LENGTH_MESSAGE,
    MAILBOX,
    MAILBOX_LIMIT,
    MESSAGE,
    UNSEEN,
    UNSEEN_MESSAGE,
    Mailbox,
    MailboxError,
    distinct,
    parse_mailbox,
)
from report_runner.contract.model import ONE_LINE, Model
from report_runner.contract.report import Format
from report_runner.contract.rules import Rule, quoted
from report_runner.contract.schema import LIST_SET, list_map, unique
from report_runner.contract.secret import SecretReference
from report_runner.contract.template_line import IS_TEMPLATE
from report_runner.contract.upload import PLACES_LIMIT, UploadPlace

RECIPIENTS_LIMIT = 50  # of each list: a message of its own for each


class SmtpServer(Model):
    """The mail server."""

    secret_ref: SecretReference = Field(
        description="Secret with the keys host, port (587), from (an address, alone or after a "
        "name), and optionally username, password, security (starttls, tls or none; starttls "
        "unless said) and ca.crt."
    )


def _sendable(text: str) -> str:
    try:
        parse_mailbox(text)
    except MailboxError as error:
        raise PydanticCustomError("rule", "{problem}", {"problem": str(error)}) from None
    return text


_ADDRESS_SIZE = "self.substring(self.lastIndexOf('<') + 1).replace('>', '').size()"
MailboxText = Annotated[
    str,
    StringConstraints(max_length=MAILBOX_LIMIT),
    Rule(
        f"!self.matches({quoted(UNSEEN)})", UNSEEN_MESSAGE, lambda text: not re.search(UNSEEN, text)
    ),
    Rule(
        f"self.matches({quoted(f'^({MAILBOX})$')}) && self.contains('<') == self.endsWith('>')",
        MESSAGE,
        lambda text: (
            re.fullmatch(MAILBOX, text) is not None and ("<" in text) == text.endswith(">")
        ),
    ),
    Rule(
        "!self.endsWith('>') || !self.contains('=?')",
        ENCODED_MESSAGE,
        lambda text: not (text.endswith(">") and "=?" in text),
    ),
    Rule(
        f"{_ADDRESS_SIZE} <= {ADDRESS_LIMIT}",
        LENGTH_MESSAGE,
        lambda text: len(text.rpartition("<")[2].replace(">", "")) <= ADDRESS_LIMIT,
    ),
    AfterValidator(_sendable),  # what CEL cannot tell
]


class ChannelSpec(Model):
    """The base of what configures one delivery channel."""

    def targets(self) -> list[str]:
        """Where the report goes, each target once, such as mail addresses.

        They stand in the manifest, so messages may name them.
        """
        raise NotImplementedError


def _absent(value: object) -> bool:
    return not value


class EmailDelivery(ChannelSpec):
    """Each recipient gets a message of his own; nobody gets it twice for one slot."""

    to: Annotated[list[MailboxText], unique()] = Field(
        min_length=1,
        max_length=RECIPIENTS_LIMIT,
        json_schema_extra=LIST_SET,
        description="Recipients, each an address, alone or after a name: Jane Doe "
        "<jane.doe@example.com>. Each sees the own address alone, unless cc is set.",
    )
    # What is not set is not written: definitions from before these fields stay the same.
    cc: Annotated[list[MailboxText], unique()] = Field(
        default_factory=list,
        max_length=RECIPIENTS_LIMIT,
        exclude_if=_absent,
        json_schema_extra=LIST_SET,
        description="Recipients of a copy. Every mail then names all of to and cc.",
    )
    bcc: Annotated[list[MailboxText], unique()] = Field(
        default_factory=list,
        max_length=RECIPIENTS_LIMIT,
        exclude_if=_absent,
        json_schema_extra=LIST_SET,
        description="Recipients that no mail names.",
    )
    reply_to: MailboxText | None = Field(
        default=None, exclude_if=_absent, description="Where answers go; to from of the Secret."
    )
    subject: Annotated[str, StringConstraints(max_length=500), ONE_LINE, IS_TEMPLATE] = Field(
        default="{{ title }} {{ report_date }}", description="Subject line, a Jinja2 template."
    )
    attach: Annotated[list[Format], unique()] = Field(
        default_factory=lambda: [Format.PDF],
        max_length=len(Format),
        json_schema_extra=LIST_SET,
        description="Formats to attach; each has to be one of report.formats.",
    )
    smtp: SmtpServer = Field(description="The mail server.")

    def mailboxes(self) -> list[Mailbox]:
        """Everybody who gets it, each once."""
        return distinct(map(parse_mailbox, (*self.to, *self.cc, *self.bcc)))

    def targets(self) -> list[str]:
        return [mailbox.address for mailbox in self.mailboxes()]


class UploadDelivery(ChannelSpec):
    """Each place gets the files; what is there afterwards is read back and compared."""

    to: Annotated[list[UploadPlace], unique("name")] = Field(
        min_length=1,
        max_length=PLACES_LIMIT,
        json_schema_extra=list_map("name"),
        description="The places.",
    )

    def targets(self) -> list[str]:
        return [place.name for place in self.to]


class Delivery(Model):
    """Where the finished report goes."""

    email: EmailDelivery | None = Field(default=None, description="Delivery by e-mail.")
    upload: UploadDelivery | None = Field(
        default=None, exclude_if=_absent, description="Upload of the files."
    )

    def channels(self) -> dict[str, ChannelSpec]:
        """The channels that are set, by the name of their field."""
        return {name: spec for name, spec in self.set_models() if isinstance(spec, ChannelSpec)}
