"""Secrets that somebody filled wrongly: a canary in a place that messages like to quote."""

from __future__ import annotations

from collections.abc import Mapping

from tests.attacks.vectors import Vector, Who

CANARY = "CANARYpw"
_DATABASE = {
    "host": "127.0.0.1", "port": "$PG_PORT", "dbname": "postgres", "user": "reader",
    "password": "x", "sslmode": "disable",
}  # fmt: skip
_SMTP = {"host": "127.0.0.1", "port": "$SMTP_PORT", "security": "none", "from": "a@example.com"}
_URL = f"bob:{CANARY}@127.0.0.1"

_OF_DATABASES: Mapping[str, Mapping[str, str]] = {
    "host-url": {"host": f"postgres://{_URL}/market"},
    "host-url-new": {"host": f"postgresql://{_URL}:5432/market?sslmode=disable"},
    "host-dsn": {"host": f"127.0.0.1 password={CANARY}"},
    "host-user": {"host": _URL},
    "host-path": {"host": f"/{CANARY}"},
    "host-comma": {"host": f"127.0.0.1,{CANARY}"},
    "port": {"port": CANARY},
    "port-comma": {"port": f"1,{CANARY}"},
    "port-negative": {"port": f"-1{CANARY}"},
    "dbname-url": {"dbname": f"postgresql://{_URL}/db"},
    "dbname-dsn": {"dbname": f"host=127.0.0.1 password={CANARY}"},
    "dbname": {"dbname": CANARY},
    "user-dsn": {"user": f"reader password={CANARY}"},
    "user": {"user": CANARY},
    "user-colon": {"user": f"reader:{CANARY}"},
    "sslmode": {"sslmode": CANARY},
    "sslmode-quoted": {"sslmode": f"'{CANARY}'"},
    "password": {"password": CANARY},
    "password-required": {"password": CANARY, "sslmode": "require"},
    "password-null": {"password": f"{CANARY}\x00"},
    "password-lines": {"password": f"{CANARY}\nhost=127.0.0.2"},
    "certificate": {"sslmode": "verify-full", "ca.crt": CANARY},
    "certificate-key": {"sslmode": "verify-ca", "ca.crt": f"-----BEGIN KEY-----\n{CANARY}"},
    "all-in-host": {"host": f'{{"password": "{CANARY}"}}', "port": "5432"},
}
_OF_MAIL: Mapping[str, Mapping[str, str]] = {
    "security": {"security": CANARY},
    "host-url": {"host": f"smtp://{_URL}"},
    "host-port": {"host": f"127.0.0.1:{CANARY}"},
    "host-idna": {"host": f"ä{CANARY}..example"},
    "port": {"port": CANARY},
    "port-digits": {"port": f"²{CANARY}"},
    "port-large": {"port": "9" * 30},
    "from": {"from": CANARY},
    "from-named": {"from": f"bob <{CANARY}>"},
    "from-headers": {"from": f"a@example.com\r\nBcc: {CANARY}@example.com"},
    "from-password": {"from": f"a:{CANARY}@example.com"},
    "username": {"username": CANARY, "password": "x"},
    "username-lines": {"username": f"b\n{CANARY}", "password": CANARY},
    "password": {"username": "bob", "password": CANARY},
    "password-unicode": {"username": "bob", "password": f"ä{CANARY}"},
    "password-starttls": {"username": "bob", "password": CANARY, "security": "starttls"},
    "password-tls": {"username": "bob", "password": CANARY, "security": "tls"},
    "certificate": {"security": "starttls", "ca.crt": CANARY},
}

DATABASES = [
    Vector("canary-database", name, Who.EDITOR, {**_DATABASE, **keys})
    for name, keys in _OF_DATABASES.items()
]
MAIL_SERVERS = [
    Vector("canary-mail", name, Who.EDITOR, {**_SMTP, **keys}) for name, keys in _OF_MAIL.items()
]
