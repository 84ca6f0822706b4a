"""What the live CronJob of a ReportSchedule says, and how far it may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.resource import ReportSchedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.times import parse_time


def owner_uid(body: Mapping[str, Any]) -> str:
    """Uid of the controlling owner; '' where there is none."""
    return next(
        (o["uid"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")),
        "",
    )


def owner_kind(body: Mapping[str, Any]) -> str:
    """Kind of the controlling owner; '' where there is none."""
    return next(
        (o["kind"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")),
        "",
    )


def definition_of(cronjob: Mapping[str, Any]) -> str | None:
    """Name of the definition that its Jobs are marked with; None where somebody took it out."""
    template = cronjob["spec"]["jobTemplate"].get("metadata") or {}
    found: str | None = (template.get("annotations") or {}).get(names.ANNOTATION_DEFINITION)
    return found


def is_settled(schedule: ReportSchedule, previous: ReportScheduleStatus) -> bool:
    """Whether the CronJob was made of the spec as it is now.

    A Secret is missed by a run, so there is a CronJob.
    """
    return previous.observed_generation == schedule.generation and any(
        condition.type == ConditionType.READY
        and (condition.status == "True" or condition.reason == ReadyReason.SECRET_NOT_FOUND)
        for condition in previous.conditions
    )


def counts_since(
    schedule: ReportSchedule,
    live: Mapping[str, Any] | None,
    previous: ReportScheduleStatus,
    now: datetime,
) -> datetime:
    """From when on slots count: now for a new, edited or resumed schedule."""
    since_before = previous.schedule_since
    if live is None:
        return since_before or now
    if since_before is not None and is_settled(schedule, previous):
        # Whatever the live one says: an edit by somebody else makes no slot less owed.
        return since_before
    spec = live["spec"]
    same = (
        spec["schedule"] == schedule.spec.schedule
        and spec.get("timeZone") == schedule.spec.time_zone
        and (spec.get("suspend", False) is False or schedule.spec.suspend)
    )
    text = (live["metadata"].get("annotations") or {}).get(names.ANNOTATION_SINCE)
    return (parse_time(text) if same else None) or now
