"""Reads of the deliveries of all runs: who got what, on which channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from report_operator.adapters.postgres.database import SCHEMA

_COLUMNS = (
    "run.finished_at, run.namespace, run.schedule, run.slot, run.report_date, run.job_id, run.job, "
    "run.attempt, found.channel, found.recipient, found.status, found.message_id, found.error, "
    "found.position"
)


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One recipient in one run that has ended."""

    finished_at: datetime
    namespace: str
    schedule: str
    slot: datetime
    report_date: date | None
    job_id: str
    job: str
    attempt: int
    channel: str
    recipient: str
    status: str
    message_id: str | None
    error: str | None
    position: int


def where(conditions: Mapping[str, object]) -> str:
    """The clause of those conditions whose value is not None; empty without one."""
    filters = [text for text, value in conditions.items() if value is not None]
    return f" WHERE {' AND '.join(filters)}" if filters else ""


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Filters. A recipient is compared without regard to case.

    `before` is (finished_at, job_id, job, position) of the last one of the previous page.
    """

    limit: int
    recipient: str | None = None
    channel: str | None = None
    status: str | None = None
    namespace: str | None = None
    schedule: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str, str, int] | None = None

    def statement(self) -> tuple[str, dict[str, Any]]:
        """SQL and its parameters."""
        conditions: dict[str, object] = {
            "lower(found.recipient) = lower(%(recipient)s)": self.recipient,
            "found.channel = %(channel)s": self.channel,
            # What the partial indexes are of, said again: their condition is none of a parameter.
            "found.channel <> 'email'": None if self.channel == "email" else self.channel,
            "found.status = %(status)s": self.status,
            "found.status NOT IN ('sent', 'alreadySent')": (
                None if self.status in ("sent", "alreadySent") else self.status
            ),
            "run.namespace = %(namespace)s": self.namespace,
            "run.schedule = %(schedule)s": self.schedule,
            "run.finished_at >= %(since)s": self.since,
            "run.finished_at < %(until)s": self.until,
            # Of one run they come in their own order.
            "(run.finished_at, run.job_id, run.job, -found.position) < "
            "(%(at)s, %(id)s, %(job)s, -%(position)s::int)": self.before,
        }
        at, identity, job, position = self.before or (None, None, None, None)
        return (
            f"SELECT {_COLUMNS} FROM {SCHEMA}.runs AS run "  # noqa: S608
            f"JOIN {SCHEMA}.deliveries AS found USING (job_uid){where(conditions)} "
            "ORDER BY run.finished_at DESC, run.job_id DESC, run.job DESC, found.position "
            "LIMIT %(limit)s",
            {
                "recipient": self.recipient,
                "channel": self.channel,
                "status": self.status,
                "namespace": self.namespace,
                "schedule": self.schedule,
                "since": self.since,
                "until": self.until,
                "at": at,
                "id": identity,
                "job": job,
                "position": position,
                "limit": self.limit,
            },
        )
