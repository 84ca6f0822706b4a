"""What an Idempotency-Key stands for, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from admin_api.errors import RefusedError
from admin_api.services.idempotency import (
    ENTRY_LIMIT,
    RETENTION,
    IdempotencyEntry,
    IdempotencyRecords,
    digest,
    surplus,
)
from report_operator.api.v1alpha1.spec import Priority

NOW = datetime(2026, 11, 24, 5, tzinfo=UTC)


def entry(age: timedelta = timedelta(), request: str = "retry x") -> IdempotencyEntry:
    return IdempotencyEntry(
        at=NOW - age,
        request=digest(request),
        namespace="reports",
        schedule="daily",
        slot=NOW,
        report_date=None,
        number=2,
        priority=Priority.HIGH,
    )


def test_key_is_refused_with_another_request() -> None:
    records = IdempotencyRecords({digest("key"): entry()}, "1")
    assert records.find("key", "retry x") == entry()
    assert records.find("other", "retry y") is None
    with pytest.raises(RefusedError, match="send a new key") as raised:
        records.find("key", "retry y")
    assert raised.value.status == 422


def test_expired_entries_are_removed() -> None:
    second = timedelta(seconds=1)
    entries = {"old": entry(RETENTION + second), "kept": entry(RETENTION)}
    assert surplus(entries, NOW) == {"old"}


def test_oldest_entries_make_room_for_one_more() -> None:
    entries = {f"{number}": entry(timedelta(seconds=number)) for number in range(ENTRY_LIMIT + 3)}
    assert surplus(entries, NOW) == {
        f"{number}" for number in range(ENTRY_LIMIT - 1, ENTRY_LIMIT + 3)
    }


def test_entry_survives_serialization() -> None:
    text = entry().model_dump_json(exclude_none=True)
    assert IdempotencyEntry.model_validate_json(text).attempt == entry().attempt
