"""Filters that name nothing: an error that says what there is, never an empty list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from admin_api.errors import RefusedError
from admin_api.services.jobs import ScheduleSummary

KNOWN_LIMIT = 30  # names in one message
VALUE_LIMIT = 100  # characters of what was asked for


def check_names(schedules: Sequence[ScheduleSummary], **wanted: str | None) -> None:
    """Raises RefusedError (404) for the first filter whose value no ReportSchedule has.

    `wanted` are report_type, tier, namespace and name, each None where it is not given.
    """
    problem = unknown_name(schedules, **wanted)
    if problem:
        raise RefusedError(404, problem)


def unknown_name(schedules: Sequence[ScheduleSummary], **wanted: str | None) -> str:
    """What `check_names` raises; '' where each filter has something to find."""
    for field, value in wanted.items():
        known = {str(getattr(schedule, field)) for schedule in schedules}
        if value is not None and value not in known:
            return (
                f"no ReportSchedule here has the {_WORDS[field]} {value[:VALUE_LIMIT]}; known "
                f"{_WORDS[field]}s: {listed(known)}"
            )
    return ""


def listed(known: Iterable[str]) -> str:
    """At most KNOWN_LIMIT of them, with a word about the rest."""
    names = sorted(known)
    more = f" and {len(names) - KNOWN_LIMIT} more" if len(names) > KNOWN_LIMIT else ""
    return (", ".join(names[:KNOWN_LIMIT]) or "none") + more


_WORDS = {"report_type": "type", "tier": "tier", "namespace": "namespace", "name": "name"}
