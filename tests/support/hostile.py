"""Objects as an attacker or a careless program makes them, from a fixed seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from report_operator.domain import names

Body = dict[str, Any]

SCHEDULES = "/apis/reports.adaf.io/v1alpha1"
BATCH = "/apis/batch/v1"
CORE = "/api/v1"
FAR_TIMES = (
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z",
    "2199-12-31T00:00:00Z", "1970-01-01T00:00:00Z", "not a time", "",
    "2026-13-41T25:61:61Z", "2026-11-25", "-1", "٣٣",
)  # fmt: skip
NUMBERS = ("9" * 22, "9" * 5000, "-1", "0", "1e3", "0x10", "NaN", "", " 1 ", "٣", "2147483648")
TEXTS = (
    "\x00", "\x1b[2J\x1b[1;1H", "\u202e\u2066", "{{ x }}", "${x}", "%s%n", "'; DROP TABLE runs; --",
    "x" * 100_000, "💥" * 1000, "\ud7ff", "a\nb\r\nc", "", " ", "../../etc/passwd", "<script>",
)  # fmt: skip
CRONS = ("0 6 1 1 *", "* * * * *", "0 0 31 2 *", "@every 1s", "@every 9999h")
ZONES = ("Mars/Olympus", "", "local", "../../etc/passwd", "Europe/Madrid", "x" * 5000)


@dataclass(frozen=True)
class Hostile:
    """One object: where it is posted, its JSON text, and how it was made."""

    path: str
    name: str
    plural: str
    text: str
    shape: str
    status: str = ""  # JSON of a status to be written afterwards


@dataclass
class Target:
    """The healthy neighbour that they lie about."""

    namespace: str
    name: str
    uid: str
    cronjob_uid: str
    job_uid: str


def nested(levels: int, *, lists: bool) -> str:
    """JSON text: `json` itself does not go as deep."""
    return "[" * levels + "1" + "]" * levels if lists else '{"a":' * levels + "1" + "}" * levels


def hostile_objects(
    seed: int, count: int, namespace: str, targets: Sequence[Target]
) -> Iterator[Hostile]:
    """`count` of them, of every kind in turn; all in `namespace`, about one of the targets."""
    rng = random.Random(seed)  # noqa: S311
    makers = (_schedule, _backfill, _cronjob, _job, _job, _job, _pod, _pod, _config_map)
    for number in range(count):
        yield makers[number % len(makers)](rng, number, namespace, rng.choice(targets))


def _path(prefix: str, namespace: str, plural: str) -> str:
    return f"{prefix}/namespaces/{namespace}/{plural}"


def _annotations(rng: random.Random, target: Target) -> Body:
    """Some of ours, with wrong values."""
    choices: dict[str, tuple[str, ...]] = {
        names.ANNOTATION_SCHEDULE: (target.name, *TEXTS),
        names.ANNOTATION_SLOT: FAR_TIMES,
        names.ANNOTATION_CRONJOB_SLOT: FAR_TIMES,
        names.ANNOTATION_ADMITTED_AT: FAR_TIMES,
        names.ANNOTATION_SINCE: FAR_TIMES,
        names.ANNOTATION_ATTEMPT: NUMBERS,
        names.ANNOTATION_REPORT_DATE: FAR_TIMES,
        names.ANNOTATION_TIME_ZONE: ZONES,
        names.ANNOTATION_PRIORITY: ("high", *TEXTS),
        names.ANNOTATION_CONCURRENCY: ("Allow", *TEXTS),
        names.ANNOTATION_DEFINITION: TEXTS,
        names.ANNOTATION_LATE_AFTER: ("99999999d", "9" * 400 + "h", "-1s", "0s", *TEXTS),
        names.ANNOTATION_CALENDAR: (
            '{"onHoliday":"NextBusinessDay","weekends":true,"country":"DE"}',
            '{"onHoliday":"Skip","country":"country_holidays"}',
            '{"onHoliday":"Skip","dates":' + "[" * 20_000,
            *TEXTS,
        ),
        names.ANNOTATION_MAY_SKIP: ("true", *TEXTS),
        names.ANNOTATION_BACKFILL: TEXTS,
        names.ANNOTATION_DATA_WAIT: (
            "{}",
            "[" * 4000,
            '{"nextCheck": "9999-12-31T23:59:59Z"}',
            *TEXTS,
        ),
        names.ANNOTATION_REQUESTED_BY: TEXTS,
        names.ANNOTATION_OWNER: TEXTS,
        names.ANNOTATION_RESEND: ("all", "[" * 5000, '["' + "a" * 300 + '"]', "{}", *TEXTS),
        names.ANNOTATION_INSTEAD_OF_SLOT: ("true", *TEXTS),
        names.ANNOTATION_FAILURE_REASON: ("Timeout", *TEXTS),
        names.ANNOTATION_FAILURE_MESSAGE: TEXTS,
    }
    kept = rng.sample(sorted(choices), rng.randint(0, len(choices)))
    made = {key: rng.choice(choices[key]) for key in kept}
    return {key: value for key, value in made.items() if len(value) < 100_000 or rng.random() < 0.3}


def _labels(rng: random.Random, target: Target) -> Body:
    return {
        names.LABEL_UID: rng.choice((target.uid, target.uid, "", "x" * 63, "a.b_c")),
        names.LABEL_TIER: rng.choice(("critical", "bulk", "x" * 63, "")),
        names.LABEL_BACKFILL_UID: rng.choice((target.uid, "")),
        **({names.LABEL_JOB_UID: target.job_uid} if rng.random() < 0.2 else {}),
    }


def _owners(rng: random.Random, target: Target) -> list[Body]:
    """None, or lies."""
    owner = {
        "apiVersion": "batch/v1",
        "kind": rng.choice(("CronJob", "Job", "ReportSchedule")),
        "name": target.name,
        "uid": rng.choice((target.cronjob_uid, target.job_uid, target.uid, "x")),
        "controller": rng.random() < 0.8,
    }
    return rng.choice(([], [owner], [{**owner, "controller": False}, owner]))


def _meta(rng: random.Random, name: str, target: Target) -> Body:
    return {
        "name": name,
        "labels": _labels(rng, target),
        "annotations": _annotations(rng, target),
        "ownerReferences": _owners(rng, target),
    }


def _schedule(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    shape = rng.choice(("deep", "lists", "strings", "keys", "status", "wide", "bomb"))
    levels = rng.choice((33, 100, 130, 253, 254, 255, 400, 900, 990, 1024, 1100, 3000))
    spec: Body = {
        "reportType": "hostile",
        "schedule": rng.choice(
            ("0 6 1 1 *", "* * * * *", "0 0 31 2 *", "@every 1s", "@every 9999h")
        ),
        "suspend": True,
        "report": {
            "title": rng.choice(("t", "x" * 200, "💥")),
            "sources": [{"name": "a", "inline": {"rows": [{"x": 1}]}}],
            "charts": [{"name": "c", "source": "a", "spec": {"x": "DEEP"}}],
            "template": {"builtin": "executive_dashboard"},
        },
    }
    chart = {"x": "DEEP"}
    status = ""
    if shape == "strings":
        spec["report"]["parameters"] = {f"p{n}": rng.choice(TEXTS)[:65_000] for n in range(20)}
    elif shape == "keys":
        spec["report"]["parameters"] = {rng.choice(TEXTS)[:1000] + str(n): n for n in range(90)}
    elif shape == "wide":
        spec["report"]["sources"][0]["inline"]["rows"] = [
            {f"c{n}": rng.choice((1, 1e308, -0.0, None, True, 2**63 - 1)) for n in range(50)}
            for _ in range(200)
        ]
    elif shape == "bomb":
        spec["report"]["template"] = {"configMapRef": {"name": "bomb", "key": "bomb"}}
    elif shape == "status":
        status = json.dumps(_status(rng))
    meta = {
        "name": name,
        "namespace": namespace,
        **({"labels": {"a": "b"}} if shape == "labels" else {}),
    }
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": meta,
        "spec": spec,
    }
    deep = (
        nested(levels, lists=shape == "lists") if shape in ("deep", "lists") else json.dumps(chart)
    )
    text = json.dumps(body).replace('"DEEP"', deep, 1)
    path = _path(SCHEDULES, namespace, "reportschedules")
    return Hostile(path, name, "reportschedules", text, f"schedule {shape} {levels}", status)


def _status(rng: random.Random) -> Body:
    """Within its schema, and beyond all reason."""
    time = rng.choice(("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-11-25T00:00:00Z"))
    return {
        "lastScheduleTime": time,
        "handledThrough": time,
        "scheduleSince": time,
        "consecutiveFailures": rng.choice((2**63 - 1, -(2**63), 0)),
        "recentRuns": [
            {
                "job": rng.choice(TEXTS)[:1000],
                "uid": f"u{number}",
                "slot": time,
                "attempt": rng.choice((2**63 - 1, -1)),
                "outcome": "Failed",
                "reason": "Timeout",
                "message": rng.choice(TEXTS),
                "finishedAt": time,
                "outputs": [rng.choice(TEXTS)[:1000]],
            }
            for number in range(rng.randint(0, 5))
        ],
        "runCounts": {rng.choice(TEXTS)[:100]: rng.choice((2**63 - 1, -5))},
    }


def _backfill(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    spec: Body = {
        "startDate": rng.choice(("2000-01-01", "2026-01-01", "2199-01-01")),
        "everySchedule": True,
        "dryRun": rng.random() < 0.5,
    }
    spec["endDate"] = spec["startDate"]
    time = rng.choice(("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"))
    run = {
        "job": rng.choice(TEXTS)[:1000], "schedule": target.name, "scheduleUid": target.uid,
        "slot": time, "reportDate": "9999-12-31", "attempt": rng.choice((2**63 - 1, 1)),
    }  # fmt: skip
    status = {
        "inFlight": [run] * rng.randint(0, 3),
        "startTime": time,
        "cursor": {"slot": time, "schedule": rng.choice(TEXTS)[:1000]},
        "done": 2**63 - 1,
        "total": -1,
    }
    meta: Body = {"name": name, "annotations": _annotations(rng, target)}
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportBackfill",
        "metadata": meta,
        "spec": spec,
    }
    path = _path(SCHEDULES, namespace, "reportbackfills")
    return Hostile(path, name, "reportbackfills", json.dumps(body), "backfill", json.dumps(status))


def _template(rng: random.Random, target: Target) -> Body:
    return {
        "metadata": {"labels": {"a": "b"}, "annotations": _annotations(rng, target)},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "report", "image": rng.choice(("none", "x" * 1000))}],
        },
    }


def _cronjob(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    spec: Body = {
        "schedule": rng.choice(("0 0 1 1 *", "0 0 31 2 *", "@every 87600h")),
        "suspend": True,
        "jobTemplate": {"spec": {"suspend": True, "template": _template(rng, target)}},
    }
    if rng.random() < 0.5:
        spec["jobTemplate"]["metadata"] = {"annotations": _annotations(rng, target)}
    meta = _meta(rng, name, target)
    meta["annotations"][names.ANNOTATION_SCHEDULE] = rng.choice((target.name, name, "x" * 5000))
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec}
    return Hostile(
        _path(BATCH, namespace, "cronjobs"), name, "cronjobs", json.dumps(body), "cronjob"
    )


def _job(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    meta = _meta(rng, name, target)
    meta["labels"].pop(names.LABEL_JOB_UID, None)
    if rng.random() < 0.5:  # nearly one of ours
        meta["annotations"][names.ANNOTATION_SCHEDULE] = target.name
        meta["ownerReferences"] = [
            {
                "apiVersion": "batch/v1", "kind": "CronJob", "name": target.name,
                "uid": target.cronjob_uid, "controller": True,
            }
        ]  # fmt: skip
    suspend = rng.random() < 0.9
    spec = {"suspend": suspend, "template": _template(rng, target), "backoffLimit": 2**31 - 1}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}
    path = _path(BATCH, namespace, "jobs")
    return Hostile(path, name, "jobs", json.dumps(body), "job")


def _pod(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    meta = _meta(rng, name, target)
    meta["labels"][names.LABEL_JOB_UID] = rng.choice((target.job_uid, "x", ""))
    huge = json.dumps({"outcome": "Failed", "reason": "Timeout", "message": "x" * 20_000,
                       "rows": {"a": 10**30}, "pages": 2**62, "outputs": []})  # fmt: skip
    message = rng.choice((huge, '{"outcome":' + "[" * 5000, *TEXTS))
    terminated = {
        "exitCode": rng.choice((0, 70, 137, 2**31 - 1)),
        "finishedAt": rng.choice(("9999-12-31T23:59:59Z", "2026-11-25T00:00:00Z")),
        "message": message.replace("\x00", ""),
    }
    status = {
        "phase": rng.choice(("Failed", "Succeeded", "Running", "Pending")),
        "message": rng.choice(TEXTS),
        "containerStatuses": [
            {
                "name": "report", "image": "none", "imageID": "", "ready": False, "restartCount": 0,
                "state": {"terminated": terminated},
            }
        ],
    }  # fmt: skip
    spec = _template(rng, target)["spec"]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    path = _path(CORE, namespace, "pods")
    return Hostile(path, name, "pods", json.dumps(body), "pod", json.dumps(status))


def _config_map(rng: random.Random, number: int, namespace: str, target: Target) -> Hostile:
    name = f"h{number}"
    meta = _meta(rng, name, target)
    body = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": rng.choice(TEXTS)},
    }  # fmt: skip
    return Hostile(
        _path(CORE, namespace, "configmaps"), name, "configmaps", json.dumps(body), "configmap"
    )
