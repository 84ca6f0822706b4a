"""Instants as the API server writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: str | None) -> datetime | None:
    """RFC 3339 → aware UTC; None for None or ''.

    Raises ValueError for text that is not an instant with a zone.
    """
    if not text:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return instant.astimezone(UTC)


def format_time(instant: datetime) -> str:
    """Aware → RFC 3339, UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
