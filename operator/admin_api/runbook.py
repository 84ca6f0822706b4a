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
        "Killed for memory, evicted by a node that had no room left, or an output file over "
        "100 MiB (200 MiB a run)",
        "The message names the field: `spec.resources.limits.memory` after an OOM kill, "
        "`ephemeral-storage` for files; or ask for fewer rows",
    ),
    Reason.STORAGE_UNAVAILABLE: Remedy(
        "The volume is full or read-only; its claim is missing, not bound, on another node, or "
        "cannot be mounted",
        "`kubectl -n reports describe pvc`. The message says which; space: [Storage and Output "
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
        "A try took longer than `spec.timeout`, or a query than its own `timeout`",
        "The message names the stage and the field: make it faster, or raise that",
    ),
    Reason.DATA_CHECK_FAILED: Remedy(
        "The data did not pass the report's own checks, at any try: `spec.retry` has given them"
        " time to arrive",
        "Do not force it: tell the owner of the data, and run it again when they are mended",
    ),
    Reason.DATA_NOT_READY: Remedy(
        "The data that the report waits for were not ready by its deadline",
        "The message has the last answer: ask the owner of the data, and run it again when "
        "they are there",
    ),
    Reason.DATA_CORRUPTED: Remedy(
        "A source's database says that its data are damaged: a page, an index. It is"
        " not tried again",
        "Do not run it again before the database's owner has mended them: escalate"
        " ([ReportSchedulerDataCorrupted](#reportschedulerdatacorrupted))",
    ),
    Reason.EMPTY_REPORT: Remedy(
        "No source had a row, at any try",
        "Is the data loaded? Run it again when it is. If that is right for the day,"
        " `spec.report.allowEmpty`",
    ),
    Reason.DELIVERY_FAILED: Remedy(
        "The report exists, some recipients did not get it",
        "The message names the server's answer; run it again, and only they get it",
    ),
    Reason.IMAGE_UNAVAILABLE: Remedy(
        "The image cannot be pulled, or is not the report runner's",
        "The message says which: `image.repository` and `image.tag`, the registry, or "
        "`config.runner.imagePullSecrets`; `kubectl -n reports describe pod -l job-name=JOB`",
    ),
    Reason.NODE_LOST: Remedy(
        "The node went away under the run",
        "`kubectl get nodes`; run it again",
    ),
    Reason.QUOTA_EXCEEDED: Remedy(
        "A ResourceQuota of the namespace refuses the pod or the Job: it is used up, or wants an "
        "amount that the schedule does not name",
        "`kubectl -n reports describe resourcequota`. Raise what the message names, or set the "
        "field of `spec.resources` that it names",
    ),
    Reason.LIMIT_RANGE_VIOLATED: Remedy(
        "A LimitRange of the namespace refuses the pod's amounts",
        "`kubectl -n reports describe limitrange`. Set the field of `spec.resources` that the "
        "message names",
    ),
    Reason.POD_SECURITY_VIOLATED: Remedy(
        "The namespace's Pod Security level (or the SCC of OpenShift) refuses the pod",
        "`kubectl get namespace reports --show-labels`. The message names the pod's field: what "
        "adds it? On OpenShift `config.runner.arbitraryUser: true`",
    ),
    Reason.ADMISSION_DENIED: Remedy(
        "A webhook, a policy or a missing right refuses the pod or the Job, or the webhook does "
        "not answer",
        "The message names it: ask its owner; `kubectl get "
        "validatingwebhookconfigurations,mutatingwebhookconfigurations,"
        "validatingadmissionpolicies`",
    ),
    Reason.OBJECT_NOT_FOUND: Remedy(
        "What the pod names is not there: a ServiceAccount, a PriorityClass, a RuntimeClass",
        "Create it, or correct the value that the message names "
        "(`config.runner.priorityClassName`)",
    ),
    Reason.UNSCHEDULABLE: Remedy(
        "No node takes the pod: no room, a request larger than any node, `nodeSelector`, taints",
        "`kubectl describe nodes`. The message names the field: `spec.resources.requests`, "
        "`spec.nodeSelector`, `spec.tolerations`",
    ),
    Reason.CONTAINER_NOT_STARTED: Remedy(
        "A node has the pod and cannot start its container: its user, the pod network, the "
        "container runtime",
        "`kubectl -n reports describe pod -l job-name=JOB`; the message says what the node wants",
    ),
    Reason.PREEMPTED: Remedy(
        "A pod of higher priority took its place on the node",
        "Run it again; `config.runner.priorityClassName` gives runs more priority",
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
        "A defect of this software, or a run that was killed and left no word",
        "`kubectl -n reports logs job/JOB` has the last lines: run it again; if it fails in the "
        "same place, file it with this log at the project",
    ),
    Reason.HOLIDAY: Remedy(
        "The calendar leaves this slot out",
        "Nothing; `spec.calendar` says which days",
    ),
    Reason.CONDITION_FALSE: Remedy(
        "The report's own condition for sending was not met",
        "Nothing; `spec.report.sendIf` is the condition",
    ),
    Reason.UNCHANGED: Remedy(
        "The data are those of the last report that was sent",
        "Nothing; `spec.report.onlyIfChanged` asks for that",
    ),
}

DELAYS: dict[DelayStage, Remedy] = {
    DelayStage.NOT_CREATED: Remedy(
        "The slot has no Job",
        "`kubectl -n reports describe cronjob NAME`: a quota, a webhook; else `kubectl -n "
        "kube-system get pods`: the CronJob controller",
    ),
    DelayStage.QUEUED: Remedy(
        "Waits for admission",
        "Why does the queue not move? [For Queue Backup](#for-queue-backup)",
    ),
    DelayStage.WAITING_FOR_DATA: Remedy(
        "Its data were not ready when it asked; it asks again",
        "The message has the last answer, the next check and the deadline: ask the owner of the "
        "data; `spec.report.waitFor` says what it waits for",
    ),
    DelayStage.PENDING: Remedy(
        "Admitted, its pod does not start",
        "`kubectl -n reports describe pod -l job-name=JOB`, and without a pod `kubectl -n reports "
        "describe job JOB`: image, quota, volume, node",
    ),
    DelayStage.RUNNING: Remedy(
        "Runs for long",
        "`kubectl -n reports logs job/JOB`; [Database Connectivity](#3-database-connectivity)",
    ),
    DelayStage.RETRYING: Remedy(
        "A try failed, the next one comes",
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
