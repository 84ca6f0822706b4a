"""Mail addresses: `jane@example.com`, `Jane Doe <jane@example.com>`, `"Doe, J." <j@example.com>`.

Letters outside of ASCII are possible in the name (written as RFC 2047 has it), in the domain
(IDNA) and before the @ (SMTPUTF8, RFC 6531).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import idna

ADDRESS_LIMIT = 254  # characters, and bytes as it is sent (RFC 5321, 4.5.3.1.3)
MAILBOX_LIMIT = 400  # characters with the name
MESSAGE = (
    "write a mail address, alone or after a name: jane.doe@example.com, "
    'Jane Doe <jane.doe@example.com> or "Doe, Jane" <jane.doe@example.com>'
)

# What ends a line, is not seen, or turns the direction of writing: a name says who it is, and an
# address is what it looks like. RE2 and Python read these patterns alike.
UNSEEN = (
    "[\\x00-\\x1f\\x7f-\\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
ENCODED_MESSAGE = "write a name as it reads, not encoded (=?utf-8?...?=)"
LENGTH_MESSAGE = f"write an address of at most {ADDRESS_LIMIT} characters"
UNSEEN_MESSAGE = "take out what is not seen: line breaks, control characters, marks of direction"
_ATOM = '[^ "(),.:;<>@\\[\\\\\\]]+'
_LETTER = "[^ -/:-@\\[-`{-~]"
_LABEL = f"{_LETTER}((-|{_LETTER})*{_LETTER})?"
_ADDRESS = f"{_ATOM}([.]{_ATOM})*@{_LABEL}([.]{_LABEL})*"
_NAME = '[^ "<>@\\\\]([^"<>@\\\\]*[^ "<>@\\\\])?'
_QUOTED = '"([^"\\\\]|\\\\["\\\\])+"'
# With `<` it has to end with `>`.
MAILBOX = f"((({_NAME}|{_QUOTED}) *)?<)?{_ADDRESS}>?"

_UNSEEN = re.compile(UNSEEN)
_SPACE = re.compile(r"\s")
_PARTS = re.compile(f"(((?P<name>{_NAME}|{_QUOTED}) *)?(?P<open><))?(?P<address>{_ADDRESS})>?")


class MailboxError(ValueError):
    """It is no mail address, or none that can be sent to; the text does not quote it."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail address, as it is written, with the name of its owner, or none."""

    name: str
    address: str

    @property
    def local(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def ascii_domain(self) -> str:
        """The domain as DNS has it; one in ASCII is left as it is written."""
        domain = self.address.rpartition("@")[2]
        return domain if domain.isascii() else _encoded(domain)

    @property
    def ascii_address(self) -> str | None:
        """The address for a server without SMTPUTF8; None where it has none."""
        return f"{self.local}@{self.ascii_domain}" if self.local.isascii() else None

    @property
    def identity(self) -> str:
        """The same for each spelling of the address.

        A server may tell upper case from lower case before the @, but none is known to do so.
        """
        return f"{unicodedata.normalize('NFC', self.local)}@{self.ascii_domain}".lower()


@lru_cache(maxsize=4096)
def parse_mailbox(text: str) -> Mailbox:
    """Raises MailboxError."""
    if _UNSEEN.search(text):
        raise MailboxError(UNSEEN_MESSAGE)
    found = _PARTS.fullmatch(text)
    closed = text.endswith(">")
    if found is None or bool(found["open"]) != closed or _SPACE.search(found["address"]):
        raise MailboxError(MESSAGE)
    if closed and "=?" in text:
        # It would be read as what it encodes.
        raise MailboxError(ENCODED_MESSAGE)
    name = found["name"] or ""
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    mailbox = Mailbox(name, found["address"])
    sent = f"{mailbox.local}@{mailbox.ascii_domain}"
    if max(len(mailbox.address), len(sent.encode(errors="replace"))) > ADDRESS_LIMIT:
        raise MailboxError(LENGTH_MESSAGE)
    return mailbox


def distinct(mailboxes: Iterable[Mailbox]) -> list[Mailbox]:
    """Each address once, with the name that it has first."""
    found: dict[str, Mailbox] = {}
    for mailbox in mailboxes:
        found.setdefault(mailbox.identity, mailbox)
    return list(found.values())


@lru_cache(maxsize=4096)
def mailbox_identity(text: str) -> str:
    """`Mailbox.identity` of what may be no mail address any more."""
    try:
        return parse_mailbox(text).identity
    except MailboxError:
        return text.lower()


def _encoded(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise MailboxError(f"its domain is none that DNS can have (IDNA): {error}") from None
