"""Further attempts for a slot, requested by a person or by a ReportBackfill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.cron.schedule import CronSchedule, latest_slot
from report_operator.domain.schedules.desired import job_for_slot
from report_operator.domain.times import format_time
from report_runner.contract import pod as podcontract
from report_runner.contract.parameters import OVERRIDES_LIMIT

Body = dict[str, Any]


class DayToComeError(ValueError):
    """A date that has not begun in the schedule's zone."""


@dataclass(frozen=True, slots=True)
class Attempt:
    slot: datetime
    report_date: date | None
    number: int
    priority: Priority
    # Values by name, for declared parameters of the report.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inherits: bool = False  # a retry: has the parameters of the attempt before
    # The attempt before had some, or was sent again: its Job has to tell. None: nobody knows.
    overridden: bool | None = False
    resend: str = ""  # to whom it is sent again, as in report_runner.contract.resend
    instead_of_slot: bool = False  # the slot is still to come, and has no other run


@dataclass(frozen=True, slots=True)
class BackfillMark:
    """The ReportBackfill that an attempt is part of."""

    name: str
    uid: str


def known_overridden(
    overridden: bool | None, requested_by: str | None, backfill: str | None
) -> bool | None:
    """Whether a run had parameters of its own or was sent again; None where nobody knows.

    Only a request can give a run any, so that the slots' own runs had none, whoever recorded them.
    """
    asked = requested_by is not None or backfill is not None
    return overridden if overridden is not None or asked else False


def lost_request(overridden: bool | None, before: str, *, adjustable: bool) -> str:
    """Why a retry cannot be what was asked for, as the Job `before` is gone; '' where it is.

    `adjustable` says whether the schedule leaves anything to ask for: it declares parameters, or
    mails somebody, to whom a report can be sent again.
    """
    anew = "by POST /api/admin/reports/generate (report-scheduler generate)"
    if overridden:
        return (
            "the attempt before had parameters of its own, or was sent again to those who had it, "
            f"and its Job {before}, which says with which, is gone: ask for the report with them "
            f"anew {anew}"
        )
    if overridden is None and adjustable:
        return (
            "whether the attempt before had parameters of its own, or was sent again to those who "
            f"had it, is not known: an older version recorded it, and its Job {before} is gone: "
            f"ask for the report anew, with them if it had any, {anew}"
        )
    return ""


def days_span(zone: ZoneInfo, first: date, last: date) -> tuple[datetime, datetime]:
    """The first second of the day `first` and the last one of the day `last` in a zone, as UTC."""
    begin = datetime.combine(first, time(), zone).astimezone(UTC)
    after = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
    return begin, after - timedelta(seconds=1)


def slot_of_date(schedule: CronSchedule, zone: ZoneInfo, day: date, now: datetime) -> datetime:
    """The day's last slot so far, else its first moment, in the schedule's zone.

    Raises DayToComeError.
    """
    today = now.astimezone(zone).date()
    if day > today:
        raise DayToComeError(
            f"date: {day} has not begun in {zone.key}, where it is {today}; name an earlier one"
        )
    begin, end = days_span(zone, day, day)
    return latest_slot(schedule, zone, begin - timedelta(seconds=1), min(end, now)) or begin


def job_of_attempt(
    cronjob: Mapping[str, Any],
    attempt: Attempt,
    requested_by: str,
    backfill: BackfillMark | None = None,
) -> Body:
    """The Job of an attempt: the same attempt has the same name, so it is made once."""
    job = job_for_slot(cronjob, attempt.slot)
    meta = job["metadata"]
    meta["name"] = names.attempt_job_name(cronjob["metadata"]["name"], attempt.slot, attempt.number)
    annotations = meta["annotations"]
    del annotations[names.ANNOTATION_CRONJOB_SLOT]  # not the schedule's own doing
    annotations |= {
        names.ANNOTATION_SLOT: format_time(attempt.slot),
        names.ANNOTATION_ATTEMPT: str(attempt.number),
        names.ANNOTATION_PRIORITY: attempt.priority.value,
        names.ANNOTATION_REQUESTED_BY: requested_by,
    }
    if attempt.resend:
        annotations[names.ANNOTATION_RESEND] = attempt.resend
    if attempt.instead_of_slot:
        annotations[names.ANNOTATION_INSTEAD_OF_SLOT] = "true"
    if attempt.report_date is not None:
        annotations[names.ANNOTATION_REPORT_DATE] = attempt.report_date.isoformat()
    if attempt.parameters:
        text = parameters_text(attempt.parameters)
        annotations[names.ANNOTATION_PARAMETERS] = text
        job["spec"] = _with_variable(job["spec"], podcontract.ENV_PARAMETERS, text)
    if backfill is not None:
        annotations[names.ANNOTATION_BACKFILL] = backfill.name
        meta["labels"][names.LABEL_BACKFILL_UID] = backfill.uid
    return job


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """JSON for the pod's environment. Raises ValueError where it is too long."""
    text = json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"))
    if len(text) > OVERRIDES_LIMIT:
        raise ValueError(f"has more than {OVERRIDES_LIMIT} characters as JSON")
    return text.replace("$", "\\u0024")  # the kubelet would read $(NAME) as a variable


def read_parameters(text: str) -> dict[str, Any]:
    """The parameters in a Job's annotation; none where that is no such JSON."""
    try:
        found = json.loads(text) if text and len(text) <= OVERRIDES_LIMIT else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _with_variable(spec: Body, name: str, value: str) -> Body:
    """A copy of a Job's spec whose container has a further variable."""
    copied: Body = deepcopy(spec)
    (container,) = copied["template"]["spec"]["containers"]
    container.setdefault("env", []).append({"name": name, "value": value})
    return copied
