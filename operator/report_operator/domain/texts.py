"""Bounds of texts that others wrote and that are stored."""

from __future__ import annotations

MESSAGE_LIMIT = 1000
CUT = " ... (cut)"


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; one that was cut says so."""
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT
