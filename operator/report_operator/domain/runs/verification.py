"""A look at what a slot has sent: a Job of its own, which is no run of the slot.

It has the pod of a run (definition, Secrets, volume, limits), and another command. Its label is
another one than that of runs, so neither queue, status, history, metrics nor alerts know it; its
owner is the ReportSchedule, since the CronJob controller counts the Jobs of a CronJob.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from report_operator.api.v1alpha1.resource import API_VERSION, KIND
from report_operator.domain import names
from report_operator.domain.runs.pending import explain_pending
from report_operator.domain.runs.pod import Pod
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_operator.domain.times import format_time, instant, parse_time
from report_runner.contract.verification import VerificationResult, parse_verification

Body = dict[str, Any]

COMMAND = ["report-generator", "verify"]
DEADLINE_SECONDS = 900  # also for a pod that cannot start
KEPT_SECONDS = 3600  # after its end: as long its answer can be read
ACTIVE_LIMIT = 10  # at once, in all namespaces: no queue holds them back
ACTIVE_IN_NAMESPACE = 3
KEPT_IN_NAMESPACE = 50


class VerificationState(StrEnum):
    """Where a look stands."""

    STARTING = "starting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # the look itself: nothing is said of what was sent


@dataclass(frozen=True, slots=True)
class VerificationTarget:
    """The slot that is looked at. `run_id` is that of the run whose page or id was given."""

    namespace: str
    schedule: str
    schedule_uid: str
    slot: datetime
    report_date: date
    run_id: str


@dataclass(frozen=True, slots=True)
class VerificationJob:
    """A Job that looks at a slot, reduced to what is decided and shown."""

    namespace: str
    name: str
    uid: str
    schedule_uid: str
    slot: datetime
    number: int
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    failure: str = ""  # of the Job, where it failed

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.finished_at is None


@dataclass(frozen=True, slots=True)
class VerificationStatus:
    """What is known of a look now."""

    state: VerificationState
    message: str = ""
    result: VerificationResult = field(default_factory=VerificationResult)


def verification_job_name(cronjob: str, slot: datetime, number: int) -> str:
    """No run has such a name: theirs end in digits alone."""
    stamp = f"{int(slot.timestamp())}-v{number}"
    return names.shortened(f"{cronjob}-{stamp}", names.JOB_NAME_LIMIT)


def job_of_verification(
    cronjob: Mapping[str, Any], target: VerificationTarget, number: int, requested_by: str
) -> Body:
    """The Job; the same number has the same name, so it is made once."""
    meta, template = cronjob["metadata"], cronjob["spec"]["jobTemplate"]
    pod: Body = deepcopy(template["spec"]["template"])
    (container,) = pod["spec"]["containers"]
    container["command"] = list(COMMAND)
    stamps = {
        names.ANNOTATION_SLOT: format_time(target.slot),
        names.ANNOTATION_REPORT_DATE: target.report_date.isoformat(),
        names.ANNOTATION_RUN_ID: target.run_id,
    }
    pod.setdefault("metadata", {}).setdefault("annotations", {}).update(stamps)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": verification_job_name(meta["name"], target.slot, number),
            "namespace": target.namespace,
            "labels": {
                names.LABEL_VERIFIES: target.schedule_uid,
                names.LABEL_MANAGED_BY: names.MANAGED_BY,
            },
            "annotations": {
                **stamps,
                names.ANNOTATION_SCHEDULE: target.schedule,
                names.ANNOTATION_ATTEMPT: str(number),
                names.ANNOTATION_REQUESTED_BY: requested_by,
            },
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": target.schedule,
                    "uid": target.schedule_uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "suspend": False,
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": pod,
        },
    }


def observe_verification(job: Mapping[str, Any]) -> VerificationJob | None:
    """None for a Job that is no look, or that somebody has edited so that it cannot be read."""
    meta, status = job["metadata"], job.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    slot = parse_time(annotations.get(names.ANNOTATION_SLOT))
    number = annotations.get(names.ANNOTATION_ATTEMPT, "")
    if names.LABEL_VERIFIES not in labels or slot is None or not number.isdecimal():
        return None
    ended = [
        condition
        for condition in status.get("conditions") or ()
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
    ]
    failed = [condition for condition in ended if condition["type"] == "Failed"]
    return VerificationJob(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        schedule_uid=labels[names.LABEL_VERIFIES],
        slot=slot,
        number=int(number),
        requested_by=names.requester(annotations),
        created_at=instant(meta["creationTimestamp"]),
        finished_at=parse_time(ended[0].get("lastTransitionTime")) if ended else None,
        failure=_words(failed[0]) if failed else "",
    )


def _words(condition: Mapping[str, Any]) -> str:
    return cut(f"{condition.get('reason', '')}: {condition.get('message', '')}", MESSAGE_LIMIT)


def of_slot(
    jobs: Sequence[VerificationJob], schedule_uid: str, slot: datetime
) -> list[VerificationJob]:
    """The looks at a slot, oldest first."""
    found = [job for job in jobs if (job.schedule_uid, job.slot) == (schedule_uid, slot)]
    return sorted(found, key=lambda job: job.number)


def too_many(jobs: Sequence[VerificationJob], namespace: str) -> str:
    """Why no further look may be made now; '' where it may."""
    active = [job for job in jobs if job.active]
    here = [job for job in active if job.namespace == namespace]
    kept = [job for job in jobs if job.namespace == namespace]
    if len(active) >= ACTIVE_LIMIT:
        return f"{len(active)} looks are under way in all namespaces, and {ACTIVE_LIMIT} may be"
    if len(here) >= ACTIVE_IN_NAMESPACE:
        return f"{len(here)} looks are under way in {namespace}, and {ACTIVE_IN_NAMESPACE} may be"
    if len(kept) >= KEPT_IN_NAMESPACE:
        return (
            f"{namespace} has {len(kept)} looks of the last hour, and {KEPT_IN_NAMESPACE} are kept"
        )
    return ""


def judge_verification(job: VerificationJob, pod: Pod | None) -> VerificationStatus:
    """From a Job and its newest pod, if it has one."""
    result = parse_verification(pod.result_text) if pod is not None and pod.ended else None
    if result is not None and pod is not None:
        if pod.exit_code == 0:
            return VerificationStatus(VerificationState.DONE, result.message, result)
        return VerificationStatus(VerificationState.FAILED, result.message)
    if not job.active or (pod is not None and pod.ended):
        told = job.failure or "its pod left no answer"
        if pod is not None and (pod.exit_reason or pod.reason):
            told = f"{told} ({pod.exit_reason or pod.reason})"
        return VerificationStatus(VerificationState.FAILED, told)
    if pod is not None and pod.started_at is not None:
        return VerificationStatus(VerificationState.RUNNING)
    pending = explain_pending(pod, ())
    return VerificationStatus(
        VerificationState.STARTING, pending.cause.message if pending is not None else ""
    )
