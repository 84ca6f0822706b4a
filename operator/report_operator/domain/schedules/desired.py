"""The desired state of what a ReportSchedule owns: definition ConfigMap and CronJob."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.resource import API_VERSION, KIND, ReportSchedule
from report_operator.api.v1alpha1.spec import (
    ConcurrencyPolicy,
    MissedRunsPolicy,
    ReportScheduleSpec,
)
from report_operator.domain import names
from report_operator.domain.cron.schedule import every_seconds
from report_operator.domain.schedules.calendar import Calendar
from report_operator.domain.schedules.pods import CONTAINER, PodSettings, pod_template
from report_operator.domain.times import format_time
from report_runner.contract import pod as podcontract
from report_runner.contract.definition import Definition
from report_runner.contract.model import parse_duration
from report_runner.contract.reasons import EXIT_NOT_READY_YET, PERMANENT_EXIT_CODES

Body = dict[str, Any]

HISTORY_OUT_OF_THE_WAY = 1_000_000  # the operator prunes, not the CronJob controller
SKIP_DEADLINE_SECONDS = 60  # a slot that is not missed: its Job is a little late at most
APPLIED_DIGITS = 16
DEFINITION_LIMIT = 900_000  # bytes; a ConfigMap holds a MiB


@dataclass(frozen=True, slots=True)
class FrozenDefinition:
    """The definition that runs use, and the name of its ConfigMap."""

    name: str
    content: str
    secrets: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return names.definition_digest(self.content)


def freeze_definition(
    schedule: ReportSchedule, template_text: str | None, calendar: Calendar | None = None
) -> FrozenDefinition:
    """From the current spec; equal content has an equal name."""
    spec = schedule.spec
    definition = Definition(
        namespace=schedule.namespace,
        name=schedule.name,
        uid=schedule.uid,
        report_type=spec.report_type,
        time_zone=spec.time_zone,
        report=spec.report,
        delivery=spec.delivery,
        output=spec.output,
        template_text=template_text,
        calendar=calendar.days_off() if calendar is not None else None,
    )
    content = json.dumps(
        definition.to_wire(), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return FrozenDefinition(
        name=names.definition_name(names.cronjob_name(schedule.name), content),
        content=content,
        secrets=tuple(definition.secret_names()),
    )


def desired_config_map(schedule: ReportSchedule, definition: FrozenDefinition) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(schedule, definition.name),
        "immutable": True,
        "data": {podcontract.DEFINITION_KEY: definition.content},
    }


def desired_cronjob(
    schedule: ReportSchedule,
    definition: FrozenDefinition,
    settings: PodSettings,
    since: datetime,
    calendar: Calendar | None = None,
) -> Body:
    """Every field of its spec is stated: any other one was added by somebody else."""
    body = _cronjob(schedule, definition, settings, since, calendar)
    spec = json.dumps(body["spec"], sort_keys=True)
    digest = hashlib.sha256(spec.encode()).hexdigest()[:APPLIED_DIGITS]
    body["metadata"]["annotations"][names.ANNOTATION_APPLIED] = digest
    return body


def _cronjob(
    schedule: ReportSchedule,
    definition: FrozenDefinition,
    settings: PodSettings,
    since: datetime,
    calendar: Calendar | None,
) -> Body:
    spec = schedule.spec
    meta = _metadata(schedule, names.cronjob_name(schedule.name))
    meta["annotations"] = {
        names.ANNOTATION_SCHEDULE: schedule.name,
        names.ANNOTATION_LATE_AFTER: spec.late_after,
        names.ANNOTATION_SINCE: format_time(since),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": meta,
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "suspend": spec.suspend,
            "concurrencyPolicy": _concurrency(spec, calendar).value,
            "startingDeadlineSeconds": starting_deadline(spec),
            "successfulJobsHistoryLimit": HISTORY_OUT_OF_THE_WAY,
            "failedJobsHistoryLimit": HISTORY_OUT_OF_THE_WAY,
            "jobTemplate": _job_template(schedule, definition, settings, calendar),
        },
    }


def _concurrency(spec: ReportScheduleSpec, calendar: Calendar | None) -> ConcurrencyPolicy:
    """With Forbid the CronJob controller makes no Job while one waits for its business day.

    Admission keeps to Forbid all the same, by what is written on the Jobs.
    """
    moves = calendar is not None and calendar.on_holiday.moves
    return ConcurrencyPolicy.ALLOW if moves else spec.concurrency_policy


def starting_deadline(spec: ReportScheduleSpec) -> int:
    """Seconds after which the CronJob controller skips a missed slot.

    It is always set: without it the controller gives up on a schedule that missed 100 starts.
    """
    within = SKIP_DEADLINE_SECONDS
    if spec.missed_runs.policy is not MissedRunsPolicy.SKIP:
        within = max(_seconds(spec.missed_runs.start_within), SKIP_DEADLINE_SECONDS)
    # The controller counts @every from `now - startingDeadlineSeconds` where that is later than the
    # last slot: within an interval the slot would be ahead of the clock always, and never come.
    # Source: `mostRecentScheduleTime` in pkg/controller/cronjob/utils.go of Kubernetes.
    return within + every_seconds(spec.schedule)


def _metadata(schedule: ReportSchedule, name: str) -> Body:
    return {
        "name": name,
        "namespace": schedule.namespace,
        "labels": _labels(schedule),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": schedule.name,
                "uid": schedule.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def _labels(schedule: ReportSchedule) -> dict[str, str]:
    return {
        names.LABEL_UID: schedule.uid,
        names.LABEL_SCHEDULE: names.cronjob_name(schedule.name),
        names.LABEL_TIER: schedule.spec.tier.value,
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
    }


def _job_template(
    schedule: ReportSchedule,
    definition: FrozenDefinition,
    settings: PodSettings,
    calendar: Calendar | None,
) -> Body:
    spec = schedule.spec
    return {
        "metadata": {
            "labels": _labels(schedule),
            "annotations": {
                names.ANNOTATION_SCHEDULE: schedule.name,
                names.ANNOTATION_PRIORITY: spec.priority.value,
                names.ANNOTATION_TIME_ZONE: spec.time_zone,
                names.ANNOTATION_CONCURRENCY: spec.concurrency_policy.value,
                names.ANNOTATION_DEFINITION: definition.name,
                **({names.ANNOTATION_QUEUE_NAME: spec.queue_name} if spec.queue_name else {}),
                **({names.ANNOTATION_CALENDAR: calendar.to_text()} if calendar else {}),
                **({names.ANNOTATION_MAY_SKIP: "true"} if may_skip(spec.to_wire()) else {}),
            },
        },
        "spec": {
            "suspend": True,  # the queue: admission sets it to false
            "backoffLimit": spec.retry.limit,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {
                        # The data are not ready yet: no try has failed.
                        "action": "Ignore",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [EXIT_NOT_READY_YET],
                        },
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": sorted(PERMANENT_EXIT_CODES),
                        },
                    },
                ]
            },
            "template": pod_template(
                spec,
                _labels(schedule),
                definition.name,
                definition.digest,
                definition.secrets,
                settings,
            ),
        },
    }


def may_skip(spec: Mapping[str, Any]) -> bool:
    """Whether runs of this spec (as JSON) may end without a report, since none is wanted."""
    report = spec.get("report") or {}
    waits = report.get("waitFor") or {}
    conditions = (report.get("sendIf"), report.get("onlyIfChanged"))
    return waits.get("onDeadline") == "Skip" or any(found is not None for found in conditions)


def _seconds(duration: str) -> int:
    return int(parse_duration(duration) / timedelta(seconds=1))


def job_for_slot(cronjob: Mapping[str, Any], slot: datetime) -> Body:
    """The Job that the CronJob controller would make for a slot, under the same name.

    Source: `getJobFromTemplate2` in pkg/controller/cronjob/utils.go of Kubernetes.
    """
    meta, template = cronjob["metadata"], cronjob["spec"]["jobTemplate"]
    job_meta = template.get("metadata") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(meta["name"], slot),
            "namespace": meta["namespace"],
            "labels": dict(job_meta.get("labels") or {}),
            "annotations": {
                **(job_meta.get("annotations") or {}),
                names.ANNOTATION_CRONJOB_SLOT: format_time(slot),
            },
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": template["spec"],
    }
