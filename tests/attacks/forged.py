"""Objects that a namespace editor writes as if they were the operator's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from report_operator.domain import names
from tests.attacks.vectors import Vector, Who

# Put in by the driver: uids, and names of the editor's own schedule and of the other team's.
OWN_UID, VICTIM_UID = "$OWN_UID", "$VICTIM_UID"
OWN, VICTIM = "$OWN", "$VICTIM"
LONG = "x" * 100_000
FAR = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Forged:
    """What differs from an object of the operator's; None leaves out."""

    kind: str  # jobs, pods, cronjobs, configmaps
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = "CronJob"  # of the schedule's CronJob; None: nobody
    patch: bool = False  # a merge of the schedule's own CronJob, instead of a new object


def _annotated(name: str, *texts: str) -> dict[str, Forged]:
    short = name.rpartition("/")[2]
    return {f"{short}-{text[:28]}": Forged("jobs", {name: text}) for text in texts}


def _ended(kind: str, **more: Any) -> dict[str, Any]:
    instant = "2026-01-05T06:00:00Z"
    condition = {
        "type": kind,
        "status": "True",
        "lastTransitionTime": instant,
        "lastProbeTime": instant,
        **more,
    }
    return {"conditions": [condition]}


_JOBS: Mapping[str, Forged] = {
    **_annotated(
        names.ANNOTATION_ATTEMPT,
        "9" * 30,
        "9" * 5000,
        "-1",
        "0",
        "1e9",
        "one",
        "",
        " 2 ",
        "٣",
        "1_000",
        "2147483648",
        "+1",
    ),
    **_annotated(
        names.ANNOTATION_SLOT,
        *FAR,
        "9999-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "now",
        "",
        "2026-13-45T00:00:00Z",
        "2026-01-01",
        "2026-01-01T00:00:00+99:99",
        "2026-01-01T00:00:00",
        "20260101T000000Z",
        "９",
        "9" * 5000,
        LONG,
    ),
    **_annotated(names.ANNOTATION_CRONJOB_SLOT, *FAR, "soon", "", LONG),
    **_annotated(names.ANNOTATION_ADMITTED_AT, *FAR, "soon", ""),
    **_annotated(
        names.ANNOTATION_REPORT_DATE, "9999-99-99", "yesterday", "../../x", "", LONG, "0000-00-00"
    ),
    **_annotated(
        names.ANNOTATION_TIME_ZONE, "Mars/Olympus", "../../etc/passwd", "", "/", LONG, "a\x7fb"
    ),
    **_annotated(names.ANNOTATION_PRIORITY, "first", "", LONG),
    **_annotated(names.ANNOTATION_CONCURRENCY, "Never", "", LONG),
    **_annotated(names.ANNOTATION_DEFINITION, "absent", "", "../x", LONG),
    **_annotated(names.ANNOTATION_FAILURE_REASON, "Timeout", "NoSuchReason", "", LONG),
    **_annotated(names.ANNOTATION_FAILURE_MESSAGE, LONG, "\u202e"),
    **_annotated(names.ANNOTATION_REQUESTED_BY, LONG, "system:admin", "<script>"),
    **_annotated(names.ANNOTATION_BACKFILL, "absent", "", LONG),
    **_annotated(names.ANNOTATION_SCHEDULE, "absent", "", VICTIM, "../" + VICTIM, LONG),
    "no-schedule-name": Forged("jobs", {names.ANNOTATION_SCHEDULE: None}),
    "no-annotations": Forged(
        "jobs",
        dict.fromkeys(
            (
                names.ANNOTATION_SCHEDULE,
                names.ANNOTATION_PRIORITY,
                names.ANNOTATION_TIME_ZONE,
                names.ANNOTATION_CONCURRENCY,
                names.ANNOTATION_DEFINITION,
            )
        ),
    ),
    "no-uid": Forged("jobs", labels={names.LABEL_UID: None}),
    "victims-uid": Forged("jobs", labels={names.LABEL_UID: VICTIM_UID}),
    "victims-uid-and-name": Forged(
        "jobs", {names.ANNOTATION_SCHEDULE: VICTIM}, {names.LABEL_UID: VICTIM_UID}
    ),
    "victims-uid-failed": Forged(
        "jobs",
        {names.ANNOTATION_SCHEDULE: VICTIM},
        {names.LABEL_UID: VICTIM_UID},
        status=_ended("Failed", reason="BackoffLimitExceeded", message="lies"),
    ),
    "uid-garbage": Forged("jobs", labels={names.LABEL_UID: "x"}),
    "uid-empty": Forged("jobs", labels={names.LABEL_UID: ""}),
    "tier-unknown": Forged("jobs", labels={names.LABEL_TIER: "root"}),
    "tier-empty": Forged("jobs", labels={names.LABEL_TIER: ""}),
    "backfill-uid": Forged("jobs", labels={names.LABEL_BACKFILL_UID: "x"}),
    "backfill-victim": Forged(
        "jobs", {names.ANNOTATION_BACKFILL: "x"}, {names.LABEL_BACKFILL_UID: VICTIM_UID}
    ),
    "no-owner": Forged("jobs", owner=None),
    "not-suspended": Forged("jobs", spec={"suspend": False}),
    "no-pods": Forged("jobs", spec={"parallelism": 0, "suspend": False}),
    "many-pods": Forged("jobs", spec={"parallelism": 50, "completions": 50}),
    "managed-by-another": Forged("jobs", spec={"managedBy": "example.com/me", "suspend": False}),
    "indexed": Forged("jobs", spec={"completionMode": "Indexed", "completions": 3}),
    "ended-long-ago": Forged(
        "jobs", status=_ended("Failed", lastTransitionTime="0001-01-01T00:00:00Z")
    ),
    "ended-to-come": Forged(
        "jobs", status=_ended("Failed", lastTransitionTime="9999-12-31T23:59:59Z")
    ),
    "ended-message": Forged("jobs", status=_ended("Failed", message=LONG[:30_000])),
    "attempt-and-slot": Forged(
        "jobs", {names.ANNOTATION_ATTEMPT: "9" * 9, names.ANNOTATION_SLOT: FAR[0]}
    ),
}


def _pod(**state: Any) -> dict[str, Any]:
    container = {
        "name": "report", "image": "x", "imageID": "", "ready": False, "restartCount": 0,
        "state": state,
    }  # fmt: skip
    return {"phase": "Failed", "containerStatuses": [container]}


def _terminated(message: str, **more: Any) -> dict[str, Any]:
    instant = "2026-01-05T06:00:00Z"
    return _pod(
        terminated={
            "exitCode": 1,
            "reason": "Error",
            "startedAt": instant,
            "finishedAt": instant,
            "message": message,
            **more,
        }
    )


_LIE = (
    '{"outcome":"Succeeded","reason":null,"message":"all is well","slot":null,"reportDate":null,'
    '"rows":{},"pages":1,"durationSeconds":1,"outputs":[{"path":"../../../etc/passwd",'
    '"format":"pdf","bytes":1,"sha256":"' + "0" * 64 + '"}],"deliveries":[],"manifest":null,'
    '"storageUsedPercent":null}'
)
_PODS: Mapping[str, Forged] = {
    "plain": Forged("pods"),
    "victims-uid": Forged("pods", labels={names.LABEL_UID: VICTIM_UID}),
    "no-labels": Forged("pods", labels={names.LABEL_UID: None, names.LABEL_MANAGED_BY: None}),
    "message-lie": Forged("pods", status=_terminated(_LIE)),
    "message-deep": Forged("pods", status=_terminated("[" * 4000)),
    "message-deep-object": Forged("pods", status=_terminated('{"a":' * 900)),
    "message-number": Forged("pods", status=_terminated("9" * 4090)),
    "message-control": Forged("pods", status=_terminated("\x1b[31m\x07")),
    "message-markup": Forged("pods", status=_terminated("<script>alert(1)</script>")),
    "message-rows": Forged("pods", status=_terminated('{"rows":{"a":1e999}}')),
    "exit-code": Forged("pods", status=_terminated("x", exitCode=2147483647)),
    "exit-negative": Forged("pods", status=_terminated("x", exitCode=-1)),
    "finished-long-ago": Forged("pods", status=_terminated("x", finishedAt="0001-01-01T00:00:00Z")),
    "finished-to-come": Forged("pods", status=_terminated("x", finishedAt="9999-12-31T23:59:59Z")),
    "waiting": Forged("pods", status=_pod(waiting={"reason": LONG[:2000], "message": LONG[:9000]})),
    "phase-unknown": Forged("pods", status={"phase": "Unknown", "reason": "NodeLost"}),
    "two-containers": Forged(
        "pods", spec={"containers": [{"name": f"c{n}", "image": "x"} for n in range(2)]}
    ),
}
_CRONJOBS: Mapping[str, Forged] = {
    "each-second": Forged("cronjobs", patch=True, spec={"schedule": "@every 1s"}),
    "each-minute": Forged("cronjobs", patch=True, spec={"schedule": "* * * * *"}),
    "suspended": Forged("cronjobs", patch=True, spec={"suspend": True}),
    "other-zone": Forged("cronjobs", patch=True, spec={"timeZone": "Asia/Kolkata"}),
    "dialect": Forged("cronjobs", patch=True, spec={"schedule": "0 0 31 2 *"}),
    "deadline": Forged("cronjobs", patch=True, spec={"startingDeadlineSeconds": 2**31 - 1}),
    "deadline-none": Forged("cronjobs", patch=True, spec={"startingDeadlineSeconds": None}),
    "history": Forged("cronjobs", patch=True, spec={"failedJobsHistoryLimit": 0}),
    "no-annotations": Forged(
        "cronjobs",
        dict.fromkeys(
            (names.ANNOTATION_SCHEDULE, names.ANNOTATION_LATE_AFTER, names.ANNOTATION_SINCE)
        ),
        patch=True,
    ),
    "since-garbage": Forged("cronjobs", {names.ANNOTATION_SINCE: "x"}, patch=True),
    "since-far": Forged("cronjobs", {names.ANNOTATION_SINCE: FAR[0]}, patch=True),
    "since-long-ago": Forged("cronjobs", {names.ANNOTATION_SINCE: FAR[1]}, patch=True),
    "late-after-garbage": Forged("cronjobs", {names.ANNOTATION_LATE_AFTER: "x"}, patch=True),
    "late-after-long": Forged("cronjobs", {names.ANNOTATION_LATE_AFTER: "9" * 5000}, patch=True),
    "schedule-name": Forged("cronjobs", {names.ANNOTATION_SCHEDULE: VICTIM}, patch=True),
    "uid-victim": Forged("cronjobs", labels={names.LABEL_UID: VICTIM_UID}, patch=True),
    "uid-none": Forged("cronjobs", labels={names.LABEL_UID: None}, patch=True),
    "template-bare": Forged("cronjobs", patch=True, spec={"jobTemplate": {"metadata": None}}),
    "last-time-far": Forged(
        "cronjobs", patch=True, status={"lastScheduleTime": "9999-12-31T23:59:59Z"}
    ),
    "last-time-long-ago": Forged(
        "cronjobs", patch=True, status={"lastScheduleTime": "0001-01-01T00:00:00Z"}
    ),
    "another": Forged("cronjobs", spec={"schedule": "@every 1s", "suspend": True}),
    "another-of-the-victim": Forged(
        "cronjobs",
        {names.ANNOTATION_SCHEDULE: VICTIM},
        {names.LABEL_UID: VICTIM_UID},
        spec={"schedule": "0 0 1 1 *", "suspend": True},
    ),
}

FORGED = [
    Vector(area, name, Who.EDITOR, forged)
    for area, table in (
        ("forged-job", _JOBS),
        ("forged-pod", _PODS),
        ("forged-cronjob", _CRONJOBS),
    )
    for name, forged in table.items()
]
