"""Remedies for failures, delays and schedules that are not ready: the tables of docs/runbook.md.

The texts are Markdown as there (code spans and links to its sections), and a test holds the two to
each other. `-n reports`, NAME and JOB stand for the namespace, the schedule and the run's Job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from report_operator.api.v1alpha1.status import DelayStage
from report_runner.contract.reasons import Reason


@dataclass(frozen=True, slots=True)
class Remedy:
    meaning: str
    action: str

    def of(self, namespace: str, schedule: str, job: str | None) -> Remedy:
        """The remedy with a run's names in its commands."""
        action = self.action.replace("-n reports ", f"-n {namespace} ")
        action = re.sub(r"\bNAME\b", schedule, action)
        return Remedy(self.meaning, re.sub(r"\bJOB\b", job, action) if job else action)


FAILURES: dict[Reason, Remedy] = {
    Reason.DATABASE_UNAVAILABLE: Remedy(
        "A source's database refused, broke off, or cancelled the query",
        "Is that database up? [Database Connectivity](#3-database-connectivity); then run it again",
    ),
    Reason.RESOURCE_EXHAUSTED: Remedy(
        "Killed for memory, evicted, over a quota, no node has room, or an output file over "
        "100 MiB (200 MiB a run)",
        "The message says which. Raise `spec.resources.limits.memory`, the quota, "
        "or ask for fewer rows",
    ),
    Reason.STORAGE_UNAVAILABLE: Remedy(
        "The volume is full, read-only, or cannot be mounted",
        "Free space or a larger claim: [Storage and Output "
        "Analysis](#5-storage-and-output-analysis); then run it again",
    ),
    Reason.EXTERNAL_SOURCE_UNAVAILABLE: Remedy(
        "A third-party source did not answer",
        "Ask its provider; run it again later",
    ),
    Reason.CONFIGURATION_ERROR: Remedy(
        "The schedule is wrong: a query, a template, a Secret that is missing. It "
        "is not tried again",
        "The message names the field. Its author mends it; the last good definition"
        " stays in use until then",
    ),
    Reason.QUEUE_TIMEOUT: Remedy(
        "Waited too long for admission (`config.queueTimeoutSeconds`), or was purged by hand",
        "Why does the queue not move? [For Queue Backup](#for-queue-backup); run it"
        " again if it is still wanted",
    ),
    Reason.TIMEOUT: Remedy(
        "An attempt took longer than `spec.timeout`",
        "Long queries, many rows; make it faster or raise it",
    ),
    Reason.DATA_CHECK_FAILED: Remedy(
        "The data did not pass the report's own checks",
        "Do not force it: tell the owner of the data",
    ),
    Reason.EMPTY_REPORT: Remedy(
        "No source had a row",
        "Is the data loaded? If that is right for the day, `spec.report.allowEmpty`",
    ),
    Reason.DELIVERY_FAILED: Remedy(
        "The report exists, some recipients did not get it",
        "The message names the server's answer; run it again, and only they get it",
    ),
    Reason.IMAGE_UNAVAILABLE: Remedy(
        "The image cannot be pulled",
        "Registry, tag, pull secret; `kubectl -n reports describe pod -l job-name=JOB`",
    ),
    Reason.NODE_LOST: Remedy(
        "The node went away under the run",
        "`kubectl get nodes`; run it again",
    ),
    Reason.REPLACED: Remedy(
        "The next slot's run replaced it before it had ended (`concurrencyPolicy: Replace`)",
        "Nothing, where only the newest report matters. If every run is replaced the schedule is "
        "late: use `Forbid`, fewer slots, or make the report faster",
    ),
    Reason.JOB_DELETED: Remedy(
        "Its Job was deleted before it had ended, by a person or another controller",
        "Run it again; `kubectl -n reports get events` and the API server's audit log say who "
        "deletes Jobs",
    ),
    Reason.INTERNAL_ERROR: Remedy(
        "None of these",
        "`kubectl -n reports logs job/JOB`; tell the developers",
    ),
}

DELAYS: dict[DelayStage, Remedy] = {
    DelayStage.NOT_CREATED: Remedy(
        "The slot has no Job",
        "`kubectl -n kube-system get pods`: the CronJob controller; `kubectl -n "
        "reports describe cronjob NAME`",
    ),
    DelayStage.QUEUED: Remedy(
        "Waits for admission",
        "Why does the queue not move? [For Queue Backup](#for-queue-backup)",
    ),
    DelayStage.PENDING: Remedy(
        "Admitted, its pod does not start",
        "`kubectl -n reports describe pod -l job-name=JOB`: image, quota, volume, node",
    ),
    DelayStage.RUNNING: Remedy(
        "Runs for long",
        "`kubectl -n reports logs job/JOB`; [Database Connectivity](#3-database-connectivity)",
    ),
    DelayStage.RETRYING: Remedy(
        "An attempt failed, the next one comes",
        "`kubectl -n reports logs job/JOB`, then as for a failure",
    ),
    DelayStage.REPLACING: Remedy(
        "Each run was replaced by the next before it had ended",
        "`kubectl -n reports get reportschedules NAME -o jsonpath='{.spec.concurrencyPolicy}'`: "
        "use `Forbid`, fewer slots, or make the report faster",
    ),
}

NOT_READY = Remedy(
    "Its definition is not in effect: its slots pass, and are late then",
    "The message names the field, and its author mends it: "
    "[ReportSchedulerNotReady](#reportschedulernotready); `kubectl -n reports describe "
    "reportschedules.reports.adaf.io NAME`",
)
