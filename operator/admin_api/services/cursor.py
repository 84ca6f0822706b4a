"""The `cursor` of a list: where the page before ended, in a form that callers pass on."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from admin_api.errors import RefusedError
from report_operator.domain import times

WRONG_CURSOR = "cursor: take it from `next` of the page before"
_SEPARATOR = "|"


def encode_cursor(*parts: str) -> str:
    """Of texts without `|`."""
    text = _SEPARATOR.join(parts)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, count: int) -> list[str]:
    """Its parts. Raises RefusedError where it is none, or has another number of them."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise RefusedError(422, WRONG_CURSOR) from error
    parts = text.split(_SEPARATOR)
    if len(parts) != count or "\0" in text:
        raise RefusedError(422, WRONG_CURSOR)
    return parts


def decode_instant(text: str) -> datetime:
    """A part that is an instant. Raises RefusedError."""
    try:
        return times.instant(text)
    except ValueError as error:
        raise RefusedError(422, WRONG_CURSOR) from error
