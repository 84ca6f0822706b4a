"""Instants as the API server writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from report_operator.api.v1alpha1.status import FIRST_YEAR, LAST_YEAR


def parse_time(text: str | None) -> datetime | None:
    """RFC 3339 → aware UTC; None for None or ''.

    Raises ValueError for text that is not an instant with a zone, from 1900 to 2199.
    """
    if not text:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{str(text)[:60]!r} is not an instant")  # noqa: TRY004  (as any other)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text[:60]!r} has no zone")
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"{text[:60]!r} lies outside of the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant.astimezone(UTC)


def format_time(instant: datetime) -> str:
    """Aware → RFC 3339, UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime:
    """Raises ValueError where there is none."""
    found = parse_time(text)
    if found is None:
        raise ValueError("an instant is missing")
    return found
