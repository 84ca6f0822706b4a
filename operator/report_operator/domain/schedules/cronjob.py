"""What the live CronJob of a ReportSchedule says, and how far it can be trusted."""

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


def is_of_predecessor(schedule: ReportSchedule, cronjob: Mapping[str, Any]) -> bool:
    """Whether it belongs to a deleted ReportSchedule of the same name.

    The garbage collector will delete it.
    """
    return owner_uid(cronjob) != schedule.uid and owner_kind(cronjob) == schedule.kind


def is_orphan(schedule: ReportSchedule, cronjob: Mapping[str, Any]) -> bool:
    """Whether it was left behind: its ReportSchedule was deleted with `--cascade=orphan`, or it was
    restored from a backup without it.
    """
    meta = cronjob["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    return (
        owner_uid(cronjob) == ""
        and labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY
        and annotations.get(names.ANNOTATION_SCHEDULE) == schedule.name
    )


def definition_of(cronjob: Mapping[str, Any]) -> str | None:
    """Name of the definition that its Jobs are marked with; None where somebody removed it."""
    template = cronjob["spec"]["jobTemplate"].get("metadata") or {}
    found: str | None = (template.get("annotations") or {}).get(names.ANNOTATION_DEFINITION)
    return found


def is_settled(schedule: ReportSchedule, previous: ReportScheduleStatus) -> bool:
    """Whether the CronJob was made from the current spec.

    SecretNotFound is found by a run, so the CronJob exists.
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
    if live is None or is_orphan(schedule, live):
        return since_before or now
    if since_before is not None and is_settled(schedule, previous):
        # An edit of the live CronJob by somebody else does not make any slot less due.
        return since_before
    spec = live["spec"]
    same = (
        spec["schedule"] == schedule.spec.schedule
        and spec.get("timeZone") == schedule.spec.time_zone
        and (spec.get("suspend", False) is False or schedule.spec.suspend)
    )
    text = (live["metadata"].get("annotations") or {}).get(names.ANNOTATION_SINCE)
    return (parse_time(text) if same else None) or now
