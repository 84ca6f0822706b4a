"""Events about dead letters that somebody deleted in Redis, computed without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from report_operator.api.v1alpha1.resource import Key
from report_operator.domain.runs.redis_elements import DeadLetter
from report_operator.domain.schedules.transitions import NORMAL, Transition
from report_operator.domain.times import format_time
from report_runner.contract.words import counted

IN_REDIS = "somebody in Redis, which does not say who (DEL report_scheduler_dead_letter)"
REASON = "DeadLettersCleared"  # the admin API's Event has it as well
SCHEDULE_LIMIT = 50  # schedules with an Event each; of more the Lease alone has one
NAMED = 5  # runs, or schedules, of one Event

Gone = Mapping[Key, Sequence[DeadLetter]]


def events_of_schedules(gone: Gone, through: datetime, at: datetime) -> dict[Key, Transition]:
    """An Event for each schedule that lost dead letters; none where these are too many."""
    found = {key: letters for key, letters in gone.items() if letters}
    if len(found) > SCHEDULE_LIMIT:
        return {}
    return {
        key: _event(
            f"{_runs(len(letters))} off the list of dead letters by {IN_REDIS}, and stay failed: "
            f"{_named([letter.id for letter in letters])}",
            through,
            at,
        )
        for key, letters in found.items()
    }


def events_of_lease(gone: Gone, through: datetime, at: datetime) -> Transition:
    """One Event with all of them."""
    found = {key: letters for key, letters in gone.items() if letters}
    count = sum(map(len, found.values()))
    names = [f"{key.namespace}/{key.name}" for key in found]
    return _event(
        f"{_runs(count)} off the list of dead letters by {IN_REDIS}, failed until "
        f"{format_time(through)}, of {counted(len(names), 'schedule')}: {_named(names)}",
        through,
        at,
    )


def _event(message: str, through: datetime, at: datetime) -> Transition:
    return Transition(NORMAL, REASON, message, at, f"redis {format_time(through)}")


def _runs(count: int) -> str:
    return f"{counted(count, 'failed run was', 'failed runs were')} taken"


def _named(names: Sequence[str]) -> str:
    told = ", ".join(islice(names, NAMED))
    left = len(names) - NAMED
    return f"{told} and {left} more" if left > 0 else told
