"""The mounted Secrets: each key is checked when it is read, and redacted from all texts."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import unicodedata
from collections.abc import Callable
from pathlib import Path

from report_runner.contract.mailbox import MailboxError, parse_mailbox
from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.redaction import Redactor, SecretEntry

Check = Callable[[str], str | None]  # the problem of a value, or None

CA = "ca.crt"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SECURITIES = ("starttls", "tls", "none")
NAME_LIMIT = 63  # bytes: PostgreSQL cuts longer names, and would quote a part of the value

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?", re.ASCII)
# Name resolution reads a number as an address, and a number may be a password.
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"""[^\s:/?#=&'"\\<>;,(){}]+""")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


def is_address(text: str) -> bool:
    """Whether it is an IP address, without a zone (which may be any text)."""
    if "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host(text: str) -> str | None:
    if is_address(text) or (_HOST.fullmatch(text) and not _NUMBER.fullmatch(text)):
        return None
    return (
        "has to be a host name or address (a URL belongs in its parts: host, port, dbname, user, "
        "password)"
    )


def port(text: str) -> str | None:
    if _PORT.fullmatch(text) and 0 < int(text) < 1 << 16:
        return None
    return "has to be a number from 1 to 65535"


def name(text: str) -> str | None:
    """The name of a role or database, not escaped as in a URL."""
    if _NAME.fullmatch(text) and text.isprintable() and len(text.encode()) <= NAME_LIMIT:
        return None
    return (
        f"has to be a name of at most {NAME_LIMIT} bytes without spaces, quotes, colons, slashes "
        "and equals signs (a URL belongs in its parts: host, port, dbname, user, password)"
    )


def password(text: str) -> str | None:
    """Any single line."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "has to be one line without control characters"
    return None


def ascii_line(text: str) -> str | None:
    """smtplib can send ASCII only."""
    if text.isascii() and text.isprintable():
        return None
    return "has to be one line of ASCII characters"


def mail_address(text: str) -> str | None:
    """An address, alone or after a name."""
    try:
        parse_mailbox(text)
    except MailboxError:
        return "has to be a mail address, as reports@example.com or Reports <reports@example.com>"
    return None


def one_of(choices: tuple[str, ...]) -> Check:
    def check(text: str) -> str | None:
        return None if text in choices else f"has to be one of {', '.join(choices)}"

    return check


def certificates(text: str) -> str | None:
    """One or more certificates in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):  # TypeError: not ASCII
        return "has to be one or more certificates in PEM (-----BEGIN CERTIFICATE-----)"
    return None


# Values of these keys that pass their check need not be redacted.
_HARMLESS = ("port", "sslmode", "security")


class Secrets:
    """The mounted Secrets below `root`: one directory per Secret, one file per key."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.redact = Redactor()
        for path in sorted(root.glob("*/*")):
            # The kubelet's own links begin with two dots.
            if not path.name.startswith("..") and path.is_file():
                value = _text(path)
                if value is not None:
                    self.redact.add(SecretEntry(path.parent.name, path.name, value))

    def read(
        self, secret: str, key: str, field: str, check: Check, default: str | None = None
    ) -> str:
        """One key's value, without the line break at its end.

        Raises RunError(ConfigurationError), which names Secret and key, never a value.
        """
        where = f"{field}: Secret {secret}, key {key}"
        path = self.root / secret / key
        try:
            raw = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if default is not None:
                return default
            raise RunError(
                Reason.CONFIGURATION_ERROR, f"{field}: the Secret {secret} has no key {key}; add it"
            ) from None
        except UnicodeDecodeError:
            raise RunError(Reason.CONFIGURATION_ERROR, f"{where}: is not UTF-8 text") from None
        except OSError as error:
            raise RunError(Reason.CONFIGURATION_ERROR, f"{where}: {error.strerror}") from error
        value = raw.strip()
        self.redact.add(
            SecretEntry(secret, key, value)
        )  # the kubelet may have updated it since the pod started
        problem = check(value)
        if problem is not None:
            raise RunError(Reason.CONFIGURATION_ERROR, f"{where}: {problem}")
        if key in _HARMLESS or (key == "host" and is_address(value)):
            self.redact.show(secret, key)
        return value

    def certificates(self, secret: str, field: str) -> Path | None:
        """The file of the key ca.crt, where the Secret has one. Raises RunError."""
        if not self.read(secret, CA, field, certificates_or_nothing, ""):
            return None
        return self.root / secret / CA

    def show_known_host(self, secret: str, key: str = "host") -> None:
        """Do not redact the host if name resolution knows it, for then it is a host.

        A password that was written into the key by mistake looks like a host name as well.
        """
        value = self.redact.value(secret, key)
        if value is None:
            return
        try:
            socket.getaddrinfo(value, None)
        except (OSError, UnicodeError):
            return
        self.redact.show(secret, key)


def certificates_or_nothing(text: str) -> str | None:
    """Certificates in PEM; a Secret may have the key without a value."""
    return certificates(text) if text else None


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="replace").strip()
    except OSError:
        return None  # `read` reports the error, if the key is needed
