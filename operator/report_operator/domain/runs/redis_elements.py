"""The queue and the dead letters as JSON elements of lists for on-call."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.admission.queue import Queue
from report_operator.domain.names import job_id
from report_operator.domain.runs.dead_letter import (
    Tried,
    attempt_order,
    dead,
    is_cleared,
    is_failure,
)
from report_operator.domain.times import format_time

LIMIT = 10_000  # elements of the list of dead letters
QUEUE_LIMIT = 1_000  # elements of the queue: any change of it writes it anew
MESSAGE_LIMIT = 300  # characters; the schedule's status has the whole message


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A slot whose newest attempt failed for good."""

    failed_at: datetime
    id: str
    element: str  # JSON, as the list shows it


def queue_elements(queue: Queue, report_types: Mapping[str, str]) -> list[str]:
    """Waiting runs as JSON, the next one first; at most QUEUE_LIMIT, and a note about the rest.

    `report_types` are by uid of the schedule. A run of a deleted schedule is left out: it is
    collected soon.
    """
    known = [entry for entry in queue.waiting if entry.run.schedule_uid in report_types]
    elements = [
        _json(
            {
                "id": job_id(run.namespace, run.schedule, run.slot, run.attempt),
                "report_type": report_types[run.schedule_uid],
                "priority": entry.priority,
                "scheduled_at": format_time(run.slot),
                "enqueued_at": format_time(run.created_at),
                "namespace": run.namespace,
                "schedule": run.schedule,
                "waits_for": entry.reason,
            }
        )
        for entry in known[:QUEUE_LIMIT]
        for run in (entry.run,)
    ]
    left = len(known) - QUEUE_LIMIT
    if left > 0:
        elements.append(_json({"left_out": left, "message": f"{left} more wait behind these"}))
    return elements


def given_up(
    namespace: str,
    schedule: str,
    report_type: str,
    recent: Sequence[RecentRun],
    under_way: Collection[tuple[datetime, int]],
) -> list[DeadLetter]:
    """The dead letters of one schedule.

    `recent` are its recorded outcomes, `under_way` slot and attempt of its runs without one: an
    active attempt takes its slot off the list, and so does one that succeeded.
    """
    tried: list[Tried[RecentRun | None]] = [
        Tried(
            entry.slot,
            attempt_order(entry.attempt, entry.finished_at),
            is_failure(entry.outcome, entry.reason),
            entry,
        )
        for entry in recent
    ]
    tried += [
        Tried(slot, attempt_order(number, None), failed=False, what=None)
        for slot, number in under_way
    ]
    return [
        _letter(namespace, schedule, report_type, entry)
        for entry in dead(tried)
        if entry is not None
    ]


def _letter(namespace: str, schedule: str, report_type: str, entry: RecentRun) -> DeadLetter:
    identity = job_id(namespace, schedule, entry.slot, entry.attempt)
    element = {
        "id": identity,
        "report_type": report_type,
        "reason": entry.reason.value if entry.reason else "",
        "message": _cut(entry.message),
        "attempts": entry.attempt,
        "failed_at": format_time(entry.finished_at),
        "scheduled_at": format_time(entry.slot),
        "namespace": namespace,
        "schedule": schedule,
    }
    return DeadLetter(entry.finished_at, identity, _json(element))


def dead_letters(
    letters: Iterable[DeadLetter], cleared_through: datetime | None
) -> list[DeadLetter]:
    """Those that failed after `cleared_through`, newest first; at most LIMIT."""
    kept = (letter for letter in letters if not is_cleared(letter.failed_at, cleared_through))
    return sorted(kept, key=lambda letter: (letter.failed_at, letter.id), reverse=True)[:LIMIT]


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else f"{message[: MESSAGE_LIMIT - 3]}..."


def _json(element: dict[str, Any]) -> str:
    return json.dumps(element, separators=(",", ":"))
