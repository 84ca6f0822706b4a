"""Replaces the values of Secrets in texts that leave the runner.

Drivers, libpq, smtplib and servers quote their input, plain or encoded. Their messages go into the
termination message, the log and the manifest, and from there into status, events and history.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from report_runner.contract.mailbox import MailboxError, parse_mailbox

SHORTEST = 4  # characters; shorter values occur in any text by chance
SHORTEST_LINE = 16  # characters of a line of a longer value, such as a certificate's
LONGEST_ENCODED = 4096  # characters; of longer values only the plain form and its lines are known
_ARMOUR = "-----"  # "-----BEGIN CERTIFICATE-----" is no secret
# The names of fields: they are kept although a user may be called `postgres`.
# A test compares them with the models, which are not imported: the plugin of kubectl redacts too,
# and has no library that is built for one platform.
_WORDS = (
    *("sources", "charts", "connection", "secretRef", "smtp", "query", "template", "spec"),
    *("to", "cc", "bcc", "replyTo", "subject", "attach"),  # of EmailDelivery
    *("name", "postgres", "inline", "http", "object", "sql", "cache"),  # of SourceSpec
    *("email", "upload"),  # of Delivery
)
_FIELD = rf"\bspec\.(?:report|delivery)(?:\.(?:{'|'.join(_WORDS)})\b|\[[a-z0-9_, ]*\])*"


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """One key of a mounted Secret with its value."""

    secret: str
    key: str
    value: str

    @property
    def is_password(self) -> bool:
        """Also the part of a URL that is one: `url password`."""
        return self.key.split()[-1:] == ["password"]

    @property
    def replacement(self) -> str:
        """The text in place of the value: it names Secret and key."""
        return f"[Secret {self.secret} key {self.key}]"


def _base64_forms(value: bytes) -> Iterator[str]:
    """The value's base64 alone, and what of it is the same inside a longer text's base64."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value).decode()
        for offset in range(3):
            whole = encode(b"\0" * offset + value).decode().rstrip("=")
            first = -(-offset * 8 // 6)
            last = (offset + len(value)) * 8 // 6
            if last - first >= 2 * SHORTEST:
                yield whole[first:last]


def forms(value: str) -> set[str]:
    """A value as drivers, servers and tracebacks may write it."""
    found = {value, " ".join(value.split())}
    found |= {
        line.strip()
        for line in value.splitlines()
        if len(line.strip()) >= SHORTEST_LINE and not line.startswith(_ARMOUR)
    }
    if len(value) <= LONGEST_ENCODED:
        found |= {
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
            repr(value)[1:-1],
            repr(value.encode())[2:-1],
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            html.escape(value),
            value.replace("'", "''"),
            value.replace('"', '""'),
            value.replace("\\", "\\\\").replace("'", "\\'"),
            value.encode().hex(),
            *_base64_forms(value.encode()),
        }
    # A server quotes the address alone of `Reports <reports@example.com>`, in ASCII.
    found |= _address_forms(value)
    return {form for form in found if len(form) >= SHORTEST}


def _address_forms(value: str) -> set[str]:
    try:
        mailbox = parse_mailbox(value)
    except MailboxError:
        return set()
    return {mailbox.address, mailbox.ascii_address or mailbox.address}


class Redactor:
    """Knows values and replaces them, in any of their forms and in any case."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], SecretEntry] = {}
        self._public: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._names: dict[str, str] = {}

    def add(self, entry: SecretEntry) -> None:
        """Redact this value from now on."""
        if self._entries.get((entry.secret, entry.key)) != entry:
            self._entries[entry.secret, entry.key] = entry
            self._pattern = None

    def value(self, secret: str, key: str) -> str | None:
        """The redacted value of a key; None where there is none or it is not redacted."""
        entry = self._entries.get((secret, key))
        return entry.value if entry else None

    def show(self, secret: str, key: str) -> None:
        """Do not redact the value of this key: it was checked to be harmless."""
        if self._entries.pop((secret, key), None) is not None:
            self._pattern = None

    def keep(self, texts: Iterable[str]) -> None:
        """Do not redact these texts of the schedule itself, unless one is a password."""
        self._public.update(texts)
        self._pattern = None

    def __call__(self, text: str) -> str:
        """The text without any of the values."""
        if self._pattern is None:
            self._compile()
        assert self._pattern is not None  # noqa: S101 - compiled above
        return self._pattern.sub(self._replace, text)

    def _compile(self) -> None:
        self._names = {}
        # The password comes last and wins: it may be the user's name as well.
        entries = sorted(self._entries.values(), key=lambda one: one.is_password)
        kept = self._public | {
            text
            for entry in entries
            for text in (
                f"Secret {entry.secret}",
                f"Secret {entry.secret}, key {entry.key}",
                entry.replacement,
            )
        }
        for entry in entries:
            for form in forms(entry.value):
                if entry.is_password or form not in kept:
                    self._names[form.lower()] = entry.replacement
        longest_first = sorted({*self._names, *kept}, key=len, reverse=True)
        self._pattern = re.compile("|".join([_FIELD, *map(re.escape, longest_first)]), re.I)

    def _replace(self, found: re.Match[str]) -> str:
        # Only what is known is replaced: the other alternatives are texts to keep.
        return self._names.get(found[0].lower(), found[0])
