"""A Job, reduced to what decisions about a run need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.cron.schedule import load_zone
from report_operator.domain.runs.data_wait import DataWait, parse_wait
from report_operator.domain.runs.identity import RunIdentity
from report_operator.domain.schedules.calendar import AS_ALWAYS, Verdict, parse_calendar, verdict
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_operator.domain.times import instant, parse_time
from report_runner.contract.parameters import OVERRIDES_LIMIT
from report_runner.contract.resend import parse_resend

Body = Mapping[str, Any]

# Whoever may write Jobs and pods may write these texts: each has a bound before it is kept.
NAME_LIMIT = 253
FINALIZERS_NAMED = 3
ATTEMPT_LIMIT = 10_000
_OBJECT_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", re.ASCII)
CLOCK_TOLERANCE = timedelta(hours=1)  # between controller and API server
EARLY_LIMIT = timedelta(hours=26)


class NotARunError(ValueError):
    """A Job with annotations that cannot be true."""


class Stage(StrEnum):
    QUEUED = "Queued"
    WAITING_FOR_DATA = "WaitingForData"
    PENDING = "Pending"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Run:
    """One Job. Times are aware, UTC."""

    name: str
    uid: str
    resource_version: str
    namespace: str
    schedule: str
    schedule_uid: str
    slot: datetime
    manual: bool
    tier: str
    priority: str
    concurrency: str
    time_zone: str
    created_at: datetime
    suspended: bool
    deleting: bool
    admitted_at: datetime | None = None
    finished_at: datetime | None = None
    succeeded: bool = False
    failed_condition: str = ""  # reason of the Job's condition Failed
    failed_message: str = ""
    active_pods: int = 0
    ready_pods: int = 0
    failed_pods: int = 0
    attempt: int = 1
    report_date: str = ""
    definition: str = ""
    termination_reason: str = ""  # why the operator ended it
    termination_detail: str = ""
    requested_by: str = ""  # who asked for a further attempt
    resend: str = ""  # to whom it is sent again, as in report_runner.contract.resend
    slot_offset: timedelta | None = None  # from UTC, as the CronJob controller wrote the slot
    backfill: str = ""  # name and uid of the ReportBackfill that asked for it
    backfill_uid: str = ""
    data_wait: DataWait | None = None  # its data were not ready when it asked
    owner_uid: str = ""  # of the CronJob that is its controller
    may_skip: bool = False  # that its Job is complete does not say whether it sent its report
    calendar: str = ""  # JSON, as domain.schedules.calendar writes it
    parameters: str = ""  # of its own, as JSON
    queue_name: str = ""  # the LocalQueue of Kueue that lets it start, instead of our own gate
    handed_over: bool = False  # it is stamped, and Kueue knows of it
    finalizers: tuple[str, ...] = ()  # while it is being deleted: what keeps it

    @property
    def identity(self) -> RunIdentity:
        return RunIdentity(
            namespace=self.namespace,
            schedule=self.schedule,
            schedule_uid=self.schedule_uid,
            job=self.name,
            job_uid=self.uid,
            slot=self.slot,
            attempt=self.attempt,
            report_date=date.fromisoformat(self.report_date) if self.report_date else None,
            tier=self.tier,
            priority=self.priority,
            manual=self.manual,
            requested_by=self.requested_by or None,
            backfill=self.backfill or None,
            backfill_uid=self.backfill_uid or None,
            definition=self.definition or None,
            overridden=bool(self.parameters or self.resend),
            created_at=self.created_at,
            admitted_at=self.admitted_at,
        )

    @property
    def finished(self) -> bool:
        """Whether the Job is complete or failed for good."""
        return self.finished_at is not None

    @property
    def active(self) -> bool:
        """Whether the run is admitted and has not ended."""
        return not self.suspended and not self.finished

    @property
    def waiting(self) -> bool:
        """Whether the run is in the queue."""
        return self._may_go_on and self.stage is Stage.QUEUED

    @property
    def between_checks(self) -> bool:
        """Whether it waits for its data: it is in no queue until its next check is due."""
        return self._may_go_on and self.stage is Stage.WAITING_FOR_DATA

    @property
    def _may_go_on(self) -> bool:
        return not self.deleting and not self.termination_reason

    @property
    def calendar_verdict(self) -> Verdict:
        """What the calendar makes of its slot; a run that somebody asked for goes its way."""
        if not self.calendar or not self.scheduled:
            return AS_ALWAYS
        return _verdict(self.calendar, self.slot, self.time_zone)

    def waits_for_its_day(self, now: datetime) -> bool:
        """Whether the calendar has moved it to a day to come."""
        moved_to = self.calendar_verdict.moved_to
        return self.waiting and moved_to is not None and moved_to > now

    @property
    def due_at(self) -> datetime:
        """When it is to start: its slot, unless the calendar moved it."""
        return self.calendar_verdict.moved_to or self.slot

    @property
    def scheduled(self) -> bool:
        """Whether it is of a slot that came due, not asked for by a person or a backfill."""
        return not self.manual and not self.backfill

    @property
    def stage(self) -> Stage:
        if self.finished:
            return Stage.SUCCEEDED if self.succeeded else Stage.FAILED
        if self.suspended:
            between = self.data_wait is not None and self.data_wait.between_checks
            return Stage.WAITING_FOR_DATA if between else Stage.QUEUED
        if self.ready_pods:
            return Stage.RUNNING
        return Stage.RETRYING if self.failed_pods else Stage.PENDING


@lru_cache(maxsize=4096)
def _verdict(calendar: str, slot: datetime, zone: str) -> Verdict:
    return verdict(parse_calendar(calendar), slot.astimezone(load_zone(zone)))


def observe_job(job: Body) -> Run:
    """Raises KeyError, TypeError or ValueError where the Job lacks what every run has.

    Also where its annotations cannot be true: a run that cannot be placed must not start.
    """
    meta, spec, status = job["metadata"], job["spec"], job.get("status") or {}
    annotations, labels = meta.get("annotations") or {}, meta["labels"]
    created_at = instant(meta["creationTimestamp"])
    scheduled = parse_time(annotations.get(names.ANNOTATION_CRONJOB_SLOT))
    stamped = parse_time(annotations.get(names.ANNOTATION_SLOT))
    ended = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    over = ended.get("Complete") or ended.get("Failed")
    failed = ended.get("Failed", {})
    run = Run(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=str(int(meta["resourceVersion"])),
        namespace=meta["namespace"],
        schedule=_name(annotations[names.ANNOTATION_SCHEDULE], names.ANNOTATION_SCHEDULE),
        schedule_uid=labels[names.LABEL_UID],
        slot=stamped or scheduled or created_at,
        manual=scheduled is None,
        slot_offset=_offset(annotations.get(names.ANNOTATION_CRONJOB_SLOT)),
        tier=labels.get(names.LABEL_TIER, "standard"),
        priority=_priority(annotations.get(names.ANNOTATION_PRIORITY, Priority.NORMAL.value)),
        concurrency=cut(annotations.get(names.ANNOTATION_CONCURRENCY, "Forbid"), NAME_LIMIT),
        time_zone=_zone(annotations.get(names.ANNOTATION_TIME_ZONE, "Etc/UTC")),
        created_at=created_at,
        suspended=bool(spec.get("suspend")),
        deleting="deletionTimestamp" in meta,
        finalizers=_finalizers(meta),
        admitted_at=parse_time(annotations.get(names.ANNOTATION_ADMITTED_AT))
        or parse_time(status.get("startTime")),
        finished_at=instant(over["lastTransitionTime"]) if over else None,
        succeeded="Complete" in ended,
        failed_condition=cut(failed.get("reason", ""), NAME_LIMIT),
        failed_message=cut(failed.get("message", ""), MESSAGE_LIMIT),
        active_pods=status.get("active") or 0,
        ready_pods=status.get("ready") or 0,
        failed_pods=status.get("failed") or 0,
        attempt=_attempt(annotations.get(names.ANNOTATION_ATTEMPT, "1")),
        report_date=_day(annotations.get(names.ANNOTATION_REPORT_DATE, "")),
        definition=_name(
            annotations.get(names.ANNOTATION_DEFINITION, ""), names.ANNOTATION_DEFINITION
        ),
        termination_reason=cut(annotations.get(names.ANNOTATION_FAILURE_REASON, ""), NAME_LIMIT),
        termination_detail=cut(
            annotations.get(names.ANNOTATION_FAILURE_MESSAGE, ""), MESSAGE_LIMIT
        ),
        requested_by=cut(names.requester(annotations), NAME_LIMIT),
        parameters=annotations.get(names.ANNOTATION_PARAMETERS, "")[: OVERRIDES_LIMIT + 1],
        resend=_resend(annotations.get(names.ANNOTATION_RESEND, "")),
        backfill=_name(annotations.get(names.ANNOTATION_BACKFILL, ""), names.ANNOTATION_BACKFILL),
        backfill_uid=labels.get(names.LABEL_BACKFILL_UID, ""),
        owner_uid=controller_of(meta, "CronJob"),
        calendar=_calendar(annotations.get(names.ANNOTATION_CALENDAR, "")),
        may_skip=annotations.get(names.ANNOTATION_MAY_SKIP) == "true",
        queue_name=_name(
            annotations.get(names.ANNOTATION_QUEUE_NAME, ""), names.ANNOTATION_QUEUE_NAME
        ),
        handed_over=names.LABEL_KUEUE_QUEUE in labels and names.ANNOTATION_RUN_ID in annotations,
        data_wait=parse_wait(annotations.get(names.ANNOTATION_DATA_WAIT)),
    )
    _check_slot(run, early=annotations.get(names.ANNOTATION_INSTEAD_OF_SLOT) == "true")
    return run


def controller_of(meta: Body, kind: str = "") -> str:
    """The uid of the owner that is the controller, and of this kind; '' where there is none.

    Anybody may write any owner: it counts only together with an existing object of that uid in the
    same namespace.
    """
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") and kind in ("", owner.get("kind")):
            return str(owner.get("uid", ""))
    return ""


def _finalizers(meta: Body) -> tuple[str, ...]:
    if "deletionTimestamp" not in meta:
        return ()
    named = (meta.get("finalizers") or ())[:FINALIZERS_NAMED]
    return tuple(cut(str(name), NAME_LIMIT) for name in named)


def _check_slot(run: Run, *, early: bool) -> None:
    """Admission asks the calendar about all runs at once: nobody's may fail there."""
    try:
        found = _verdict(run.calendar, run.slot, run.time_zone) if run.calendar else AS_ALWAYS
    except OverflowError as error:
        raise NotARunError(
            f"{names.ANNOTATION_CALENDAR}: not for a slot like {run.slot}"
        ) from error
    # One to come would stand for all slots until then, and none of them would be missed: where a
    # calendar moves its run to a day before, those in between have theirs. Somebody may ask for the
    # next one of the day, which has 25 hours where the clocks are set back.
    latest = run.created_at + (EARLY_LIMIT if early else CLOCK_TOLERANCE)
    if min(run.slot, found.moved_to or run.slot) > latest:
        raise NotARunError(f"its slot {run.slot} lies after its creation")


def _offset(text: str | None) -> timedelta | None:
    """Of the zone that the CronJob controller writes a slot in."""
    return datetime.fromisoformat(text).utcoffset() if text else None


def _attempt(text: str) -> int:
    number = int(text) if len(text) <= len(str(ATTEMPT_LIMIT)) else ATTEMPT_LIMIT + 1
    if not 1 <= number <= ATTEMPT_LIMIT:
        raise NotARunError(
            f"{names.ANNOTATION_ATTEMPT}: not a number from 1 to {ATTEMPT_LIMIT}: {text[:40]}"
        )
    return number


def _day(text: str) -> str:
    if text:
        date.fromisoformat(text)  # ValueError
    return text


def _resend(text: str) -> str:
    try:
        found = parse_resend(text)
    except ValueError as error:
        raise NotARunError(f"{names.ANNOTATION_RESEND}: {error}") from error
    return found.text if found is not None else ""


def _zone(text: str) -> str:
    load_zone(text)  # ScheduleError, a ValueError
    return text


def _calendar(text: str) -> str:
    if text:
        parse_calendar(text)  # ValueError
    return text


def _priority(text: str) -> str:
    if text not in {priority.value for priority in Priority}:
        raise NotARunError(f"{names.ANNOTATION_PRIORITY}: no priority: {text[:40]}")
    return text


def _name(text: str, annotation: str) -> str:
    # It becomes part of a path on the API server.
    if text and (len(text) > NAME_LIMIT or _OBJECT_NAME.fullmatch(text) is None):
        raise NotARunError(f"{annotation}: not the name of an object: {text[:40]}")
    return text
