"""Whole, ordinary objects for tests, from which each test changes what it is about."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from report_operator.api.v1alpha1.resource import ReportSchedule, parse_schedule
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.cron.schedule import load_zone, parse
from report_operator.domain.runs.observed import ObservedRun
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.observation import Observation
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.status import RunDecisions, StatusUpdate, compute_status
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result

Body = dict[str, Any]

SLOT = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)  # 06:00 in Madrid
UID = "5f0c6c1e-0000-4000-8000-000000000001"
MINUTE = timedelta(minutes=1)

# For hypothesis on a busy machine: what is slow there is not wrong.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def at(text: str) -> datetime:
    """`"2026-11-24 05:00"` → that instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Body:
    """A deep copy with changes, as a JSON merge patch: None removes."""
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def make_run(**changes: Any) -> Run:
    """A run that waits for admission."""
    values: Body = {
        "name": "daily-29924940",
        "uid": "job-1",
        "resource_version": "100",
        "namespace": "reports",
        "schedule": "daily",
        "schedule_uid": UID,
        "slot": SLOT,
        "manual": False,
        "tier": "critical",
        "priority": "normal",
        "concurrency": "Forbid",
        "time_zone": "Europe/Madrid",
        "created_at": SLOT,
        "suspended": True,
        "deleting": False,
    }
    return Run(**{**values, **changes})


def active_run(**changes: Any) -> Run:
    """An admitted run; without further changes its pod does not run yet."""
    return make_run(**{"suspended": False, "admitted_at": SLOT, "active_pods": 1, **changes})


def finished_run(uid: str = "job-1", *, succeeded: bool = True, **changes: Any) -> Run:
    """A run that ended five minutes after its slot."""
    values: Body = {
        "uid": uid,
        "name": f"daily-{uid}",
        "finished_at": SLOT + 5 * MINUTE,
        "succeeded": succeeded,
        "active_pods": 0,
    }
    if not succeeded:
        values |= {"failed_condition": "BackoffLimitExceeded", "failed_pods": 1}
    return active_run(**{**values, **changes})


def make_pod(**changes: Any) -> Pod:
    """A pod that failed, without a word about why."""
    values: Body = {
        "name": "daily-29924940-abcde",
        "created_at": SLOT,
        "phase": "Failed",
        "started_at": SLOT + timedelta(seconds=3),
        "finished_at": SLOT + MINUTE,
        "exit_code": 70,
        "exit_reason": "Error",
        "image": "runner:1",
    }
    return Pod(**{**values, **changes})


def result_text(reason: Reason | None = None, message: str = "", **changes: Any) -> str:
    """A termination message as the runner writes it."""
    outcome = Outcome.FAILED if reason else Outcome.SUCCEEDED
    return dump_result(RunResult(outcome=outcome, reason=reason, message=message, **changes))


def make_entry(uid: str = "job-1", reason: Reason | None = None, **changes: Any) -> RecentRun:
    """The outcome of a run that ended five minutes after its slot; failed if there is a reason."""
    values: Body = {
        "job": f"daily-{uid}",
        "uid": uid,
        "slot": SLOT,
        "outcome": Outcome.FAILED if reason else Outcome.SUCCEEDED,
        "reason": reason,
        "message": "no route to the database" if reason else "",
        "finished_at": SLOT + 5 * MINUTE,
    }
    return RecentRun(**{**values, **changes})


def make_plan(
    expression: str = "0 6 * * *",
    zone: str = "Europe/Madrid",
    since: datetime = SLOT - timedelta(days=1, hours=1),
    late_after: timedelta = timedelta(minutes=30),
    *,
    suspended: bool = False,
) -> Plan:
    """Daily at six in Madrid, made the day before the slot at five."""
    return Plan(parse(expression), load_zone(zone), since, suspended, late_after)


def observed(run: Run, **changes: Any) -> ObservedRun:
    """A run of which nothing is known besides its Job."""
    return ObservedRun(**{"run": run, "now": SLOT, **changes})


LIVE_CRONJOB: Body = {
    "metadata": {"name": "daily"},
    "spec": {
        "jobTemplate": {
            "metadata": {"annotations": {names.ANNOTATION_DEFINITION: "daily-0123456789"}}
        }
    },
}


def make_observation(now: datetime = SLOT, **changes: Any) -> Observation:
    """Ready, nothing due, nothing ever ran: the plan begins an hour before the slot."""
    values: Body = {
        "generation": 3,
        "previous": fresh_status(),
        "spec": make_schedule().spec,
        "problem": None,
        "cronjob": LIVE_CRONJOB,
        "plan": make_plan(since=SLOT - timedelta(hours=1)),
        "runs": (),
        **changes,
    }
    values["runs"] = [
        observed(run, now=now) if isinstance(run, Run) else replace(run, now=now)
        for run in values["runs"]
    ]
    return Observation(now=now, **values)


def update_at(
    now: datetime,
    previous: ReportScheduleStatus | None = None,
    history: RunHistory | None = None,
    handled_through: datetime | None = None,
    **changes: Any,
) -> StatusUpdate:
    """The status that `make_observation` leads to."""
    observation = make_observation(now, previous=previous or fresh_status(), **changes)
    decided = RunDecisions(history or RunHistory((), {}), handled_through=handled_through)
    return compute_status(observation, decided)


def fresh_status() -> ReportScheduleStatus:
    """The status of a schedule that was never reconciled."""
    return ReportScheduleStatus()


SPEC: Body = {
    "reportType": "executive_dashboard",
    "tier": "critical",
    "schedule": "0 6 * * 1-5",
    "timeZone": "Europe/Madrid",
    "priority": "high",
    "report": {
        "title": "Executive dashboard",
        "sources": [
            {
                "name": "revenue",
                "postgres": {
                    "connection": {"secretRef": {"name": "report-db"}},
                    "query": "SELECT 1 AS n",
                },
            },
            {"name": "rates", "inline": {"rows": [{"code": "EUR", "rate": 1}]}},
        ],
        "template": {"builtin": "executive_dashboard"},
    },
    "delivery": {
        "email": {"to": ["board@example.com"], "smtp": {"secretRef": {"name": "report-mail"}}}
    },
}


def schedule_body(spec: Mapping[str, Any] | None = None, **meta: Any) -> Body:
    """A ReportSchedule as the API server sends it."""
    return {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {
            "name": "daily",
            "namespace": "reports",
            "uid": UID,
            "generation": 3,
            "resourceVersion": "100",
            "creationTimestamp": "2026-11-01T00:00:00Z",
            **meta,
        },
        "spec": merged(SPEC, spec or {}),
    }


def make_schedule(spec: Mapping[str, Any] | None = None, **meta: Any) -> ReportSchedule:
    """The same, parsed."""
    return parse_schedule(schedule_body(spec, **meta))


_LABELS = {
    "app.kubernetes.io/managed-by": "report-scheduler",
    "reports.adaf.io/schedule": "daily",
    "reports.adaf.io/schedule-uid": UID,
    "reports.adaf.io/tier": "critical",
}
_JOB: Body = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "daily-29924940",
        "namespace": "reports",
        "uid": "job-1",
        "resourceVersion": "100",
        "generation": 1,
        "creationTimestamp": "2026-11-24T05:00:00Z",
        "labels": _LABELS,
        "annotations": {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-24T06:00:00+01:00",
            "reports.adaf.io/schedule-name": "daily",
            "reports.adaf.io/priority": "high",
            "reports.adaf.io/time-zone": "Europe/Madrid",
            "reports.adaf.io/concurrency-policy": "Forbid",
            "reports.adaf.io/definition": "daily-0123456789",
        },
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": "daily",
                "uid": "cronjob-1",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 3,
        "completionMode": "NonIndexed",
        "podReplacementPolicy": "Failed",
        "suspend": True,
    },
    "status": {
        "conditions": [
            {
                "type": "Suspended",
                "status": "True",
                "lastProbeTime": "2026-11-24T05:00:00Z",
                "lastTransitionTime": "2026-11-24T05:00:00Z",
                "reason": "JobSuspended",
                "message": "Job suspended",
            }
        ],
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    },
}


def job_body(changes: Mapping[str, Any] | None = None) -> Body:
    """A Job as the CronJob controller makes it and the Job controller first writes its status."""
    return merged(_JOB, changes or {})


def job_condition(kind: str, reason: str = "", message: str = "", status: str = "True") -> Body:
    """A condition of a Job, five minutes after the slot."""
    moment = format_time(SLOT + 5 * MINUTE)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


_POD: Body = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "daily-29924940-abcde",
        "namespace": "reports",
        "uid": "pod-1",
        "resourceVersion": "200",
        "creationTimestamp": "2026-11-24T05:00:01Z",
        "labels": {
            **_LABELS,
            "batch.kubernetes.io/controller-uid": "job-1",
            "batch.kubernetes.io/job-name": "daily-29924940",
        },
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": "daily-29924940",
                "uid": "job-1",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "containers": [
            {
                "name": "report",
                "image": "runner:1",
                "resources": {"limits": {"memory": "768Mi"}, "requests": {"cpu": "100m"}},
            }
        ]
    },
    "status": {"phase": "Pending", "qosClass": "Burstable"},
}


def pod_body(status: Mapping[str, Any] | None = None, **meta: Any) -> Body:
    """A pod of that Job."""
    return merged(_POD, {"metadata": meta, "status": status or {}})


def container_state(**state: Any) -> Body:
    """A pod status's part about its container, e.g. `running={"startedAt": ...}`."""
    return {
        "containerStatuses": [
            {
                "name": "report",
                "image": "runner:1",
                "imageID": "",
                "ready": "running" in state,
                "restartCount": 0,
                "lastState": {},
                "state": state,
            }
        ]
    }


def pod_condition(kind: str, status: str, reason: str = "", message: str = "") -> Body:
    """A pod condition."""
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": "2026-11-24T05:00:02Z",
        "reason": reason,
        "message": message,
    }


def cronjob_body(changes: Mapping[str, Any] | None = None) -> Body:
    """A live CronJob of ours, reduced to what is read of it."""
    return merged(
        {
            "metadata": {
                "name": "daily",
                "namespace": "reports",
                "uid": "cronjob-1",
                "resourceVersion": "100",
                "creationTimestamp": "2026-11-01T00:00:00Z",
                "annotations": {
                    "reports.adaf.io/schedule-name": "daily",
                    "reports.adaf.io/late-after": "45m",
                    "reports.adaf.io/schedule-since": "2026-11-20T08:00:00Z",
                },
                "ownerReferences": [
                    {
                        "apiVersion": "reports.adaf.io/v1alpha1",
                        "kind": "ReportSchedule",
                        "name": "daily",
                        "uid": UID,
                        "controller": True,
                        "blockOwnerDeletion": False,
                    }
                ],
            },
            "spec": {"schedule": "0 6 * * *", "timeZone": "Europe/Madrid", "suspend": False},
        },
        changes or {},
    )
