"""The API calls of the first runbook: every selected key exists and is not null."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.runbook.conftest import Forwards, call
from tests.runbook.original import ACTS, READS, SCHEDULER, Call, select


def fill_in(text: str, forwards: Forwards) -> str:
    """Replace the placeholders that the runbook's shell computes."""
    forwards.ensure()
    now = datetime.now(UTC)
    words: dict[str, Callable[[], str]] = {
        "YESTERDAY": lambda: f"{now - timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}",
        "TODAY": lambda: f"{now:%Y-%m-%d}",
        "FAILED_JOB": failed_job,
    }
    for word, value in words.items():
        if word in text:
            text = text.replace(word, value())
    return text


def failed_job() -> str:
    """The demo's newest failed run: schedules of other tests may be deleted meanwhile."""
    query = "status=failed&report_type=broken_on_purpose&limit=1"
    _, answer = call("GET", f"{SCHEDULER}/jobs?{query}")
    return str(answer["jobs"][0]["id"])


@pytest.mark.parametrize("wanted", [*READS, *ACTS], ids=lambda c: f"{c.method} {c.path}")
def test_selected_fields_exist_and_are_not_null(wanted: Call, forwards: Forwards) -> None:
    path = fill_in(wanted.path, forwards)
    body: Any = json.loads(fill_in(json.dumps(wanted.body), forwards))
    status, answer = call(wanted.method, path, body)
    assert status in (200, 202), answer
    for key in wanted.selects:
        values = select(answer, key)
        assert values, f"{key}: nothing in {answer}"
        assert None not in values, f"{key}: null in {answer}"
