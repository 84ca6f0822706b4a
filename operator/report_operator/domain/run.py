"""A run as it can be observed: a Job and its pods, reduced to what decisions need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from report_operator.domain import names
from report_operator.domain.times import parse_time

Body = Mapping[str, Any]


class Stage(StrEnum):
    """Where a run is."""

    QUEUED = "Queued"
    PENDING = "Pending"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Pod:
    """One attempt's pod. Texts are '' where there is none."""

    name: str
    created_at: datetime
    phase: str
    reason: str = ""  # of the pod: Evicted, DeadlineExceeded, NodeLost, ...
    message: str = ""
    disruption: str = ""  # reason of the condition DisruptionTarget
    unschedulable: str = ""  # the scheduler's message
    waiting_reason: str = ""
    waiting_message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    exit_reason: str = ""  # OOMKilled, Error, Completed
    result_text: str = ""  # termination message
    memory_limit: str = ""
    image: str = ""
    resource_version: int = 0

    @property
    def ended(self) -> bool:
        """No container of it will run any more."""
        return self.phase in ("Succeeded", "Failed")


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
    forced_reason: str = ""  # why the operator ended it
    forced_message: str = ""
    asked_by: str = ""  # who asked for a further attempt
    backfill: str = ""  # name and uid of the ReportBackfill that asked for it
    backfill_uid: str = ""

    @property
    def finished(self) -> bool:
        """The Job is complete or failed for good."""
        return self.finished_at is not None

    @property
    def stage(self) -> Stage:
        """Where it is now."""
        if self.finished:
            return Stage.SUCCEEDED if self.succeeded else Stage.FAILED
        if self.suspended:
            return Stage.QUEUED
        if self.ready_pods:
            return Stage.RUNNING
        return Stage.RETRYING if self.failed_pods else Stage.PENDING


def observe_job(job: Body) -> Run:
    """A Job of ours → Run.

    Raises KeyError or ValueError where the Job lacks what every Job of ours has.
    """
    meta, spec, status = job["metadata"], job["spec"], job.get("status") or {}
    annotations, labels = meta.get("annotations") or {}, meta["labels"]
    created_at = _instant(meta["creationTimestamp"])
    scheduled = parse_time(annotations.get(names.ANNOTATION_CRONJOB_SLOT))
    stamped = parse_time(annotations.get(names.ANNOTATION_SLOT))
    ended = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    over = ended.get("Complete") or ended.get("Failed")
    failed = ended.get("Failed", {})
    return Run(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        namespace=meta["namespace"],
        schedule=annotations[names.ANNOTATION_SCHEDULE],
        schedule_uid=labels[names.LABEL_UID],
        slot=stamped or scheduled or created_at,
        manual=scheduled is None,
        tier=labels.get(names.LABEL_TIER, "standard"),
        priority=annotations.get(names.ANNOTATION_PRIORITY, "normal"),
        concurrency=annotations.get(names.ANNOTATION_CONCURRENCY, "Forbid"),
        time_zone=annotations.get(names.ANNOTATION_TIME_ZONE, "Etc/UTC"),
        created_at=created_at,
        suspended=bool(spec.get("suspend")),
        deleting="deletionTimestamp" in meta,
        admitted_at=parse_time(annotations.get(names.ANNOTATION_ADMITTED_AT))
        or parse_time(status.get("startTime")),
        finished_at=_instant(over["lastTransitionTime"]) if over else None,
        succeeded="Complete" in ended,
        failed_condition=failed.get("reason", ""),
        failed_message=failed.get("message", ""),
        active_pods=status.get("active") or 0,
        ready_pods=status.get("ready") or 0,
        failed_pods=status.get("failed") or 0,
        attempt=int(annotations.get(names.ANNOTATION_ATTEMPT, "1")),
        report_date=annotations.get(names.ANNOTATION_REPORT_DATE, ""),
        definition=annotations.get(names.ANNOTATION_DEFINITION, ""),
        forced_reason=annotations.get(names.ANNOTATION_FAILURE_REASON, ""),
        forced_message=annotations.get(names.ANNOTATION_FAILURE_MESSAGE, ""),
        asked_by=annotations.get(names.ANNOTATION_ASKED_BY, ""),
        backfill=annotations.get(names.ANNOTATION_BACKFILL, ""),
        backfill_uid=labels.get(names.LABEL_BACKFILL_UID, ""),
    )


def observe_pod(pod: Body) -> Pod:
    """A pod of a run → Pod."""
    meta, status = pod["metadata"], pod.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    disruption = conditions.get("DisruptionTarget", {})
    container = pod["spec"]["containers"][0]
    statuses: Sequence[Body] = status.get("containerStatuses") or ()
    state = statuses[0].get("state") or {} if statuses else {}
    waiting = state.get("waiting") or {}
    running = state.get("running") or {}
    terminated = state.get("terminated") or {}
    return Pod(
        name=meta["name"],
        created_at=_instant(meta["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        disruption=disruption.get("reason", "") if disruption.get("status") == "True" else "",
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        started_at=parse_time(running.get("startedAt") or terminated.get("startedAt")),
        finished_at=parse_time(terminated.get("finishedAt")),
        exit_code=terminated.get("exitCode"),
        exit_reason=terminated.get("reason", ""),
        result_text=terminated.get("message", ""),
        memory_limit=(container.get("resources", {}).get("limits") or {}).get("memory", ""),
        image=container.get("image", ""),
        resource_version=int(meta.get("resourceVersion") or 0),
    )


def _instant(text: str) -> datetime:
    instant = parse_time(text)
    if instant is None:
        raise ValueError("an instant is missing")
    return instant
