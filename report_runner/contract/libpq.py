"""What libpq and psycopg say of a connection that cannot be made."""

from __future__ import annotations

import re

# psycopg looks the host up itself, so that libpq names the address that it was given: of a Service
# one that nobody has written anywhere. Where several were tried each is told.
_ADDRESS = re.compile(
    r'(?:connection failed: )?(?:connection to server at "[^"]*"(?: \([^)]*\))?, port \d+ failed: )'
)
_SEVERAL = re.compile(
    r"^Multiple connection attempts failed\. All failures were:$|"
    r"^- host: '[^']*', port: [^,]*, hostaddr: '[^']*': ",
    re.MULTILINE,
)


def without_address(text: str) -> str:
    """A message of libpq or psycopg without the addresses that it tried; each line once."""
    plain = _SEVERAL.sub("", _ADDRESS.sub("", text))
    lines = [line.strip() for line in plain.splitlines()]
    return "\n".join(dict.fromkeys(line for line in lines if line))
