"""What sources with a SELECT have in common: its text, and the bounds of its result."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from report_runner.contract.model import Integer, QueryDuration
from report_runner.contract.rules import Rule

SelectText = Annotated[
    str,
    StringConstraints(max_length=65536),
    Rule("self.trim() != ''", "write a query: one SELECT", lambda text: bool(text.strip())),
]
CancelledAfter = Annotated[
    QueryDuration, Field(description="The query is cancelled after this time, e.g. 90s, 5m.")
]
TIMEOUT = "5m"
ResultRows = Annotated[
    Integer,
    Field(
        ge=1,
        le=1_000_000,
        description="A result with more rows fails the run rather than exhausting its memory.",
    ),
]
MOST_ROWS = 100_000
