"""Names, labels and annotations of the objects that the operator makes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

PREFIX = "reports.adaf.io"
FIELD_MANAGER = "report-scheduler"

LABEL_UID = f"{PREFIX}/schedule-uid"
LABEL_SCHEDULE = f"{PREFIX}/schedule"  # the CronJob's name: a label value has 63 characters
# Of a Job that looks at what a schedule has sent: the schedule's uid. It is no run.
LABEL_VERIFIES = f"{PREFIX}/verifies-uid"
LABEL_TIER = f"{PREFIX}/tier"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "report-scheduler"

ANNOTATION_SCHEDULE = f"{PREFIX}/schedule-name"
ANNOTATION_PRIORITY = f"{PREFIX}/priority"
ANNOTATION_TIME_ZONE = f"{PREFIX}/time-zone"
ANNOTATION_CONCURRENCY = f"{PREFIX}/concurrency-policy"
ANNOTATION_DEFINITION = f"{PREFIX}/definition"
ANNOTATION_LATE_AFTER = f"{PREFIX}/late-after"
ANNOTATION_SINCE = f"{PREFIX}/schedule-since"
# Digest of the spec that the CronJob was given: tells an edit by somebody else from one of ours.
ANNOTATION_APPLIED = f"{PREFIX}/applied-spec"

ANNOTATION_CALENDAR = f"{PREFIX}/calendar"

ANNOTATION_QUEUE_NAME = f"{PREFIX}/queue-name"  # the LocalQueue of Kueue that it is handed to

# Stamped at admission, on the Job and on its pod template.
ANNOTATION_SLOT = f"{PREFIX}/slot"
ANNOTATION_REPORT_DATE = f"{PREFIX}/report-date"
ANNOTATION_DUE_AT = f"{PREFIX}/due-at"
ANNOTATION_RUN_ID = f"{PREFIX}/run-id"
ANNOTATION_ATTEMPT = f"{PREFIX}/attempt"
ANNOTATION_ADMITTED_AT = f"{PREFIX}/admitted-at"

# Of a run whose data were not ready when its pod asked: JSON (domain/runs/data_wait.py).
ANNOTATION_DATA_WAIT = f"{PREFIX}/data-wait"

# Of an attempt that a person asked for.
ANNOTATION_REQUESTED_BY = f"{PREFIX}/requested-by"
ANNOTATION_PARAMETERS = f"{PREFIX}/parameters"  # of an attempt's own, as JSON
# To whom it is sent again (report_runner.contract.resend); stamped on the pod template as well.
ANNOTATION_RESEND = f"{PREFIX}/resend"
# "true": it takes the place of a slot of the day that was still to come when it was made.
ANNOTATION_INSTEAD_OF_SLOT = f"{PREFIX}/instead-of-slot"
# Of a ReportSchedule: whose it is, for whoever is on call.
ANNOTATION_OWNER = f"{PREFIX}/owner"
# Of a ReportSchedule, written by a person: failures of slots up to this instant need no report.
ANNOTATION_ACKNOWLEDGED = f"{PREFIX}/acknowledged-through"
# Of a ReportSchedule, written by whoever asks: an instant (the report of that day is made now), and
# the Job of a failed run (its slot gets a further attempt). See domain/schedules/requests.py.
ANNOTATION_RUN_REQUESTED = f"{PREFIX}/run-requested-at"
ANNOTATION_RETRY_REQUESTED = f"{PREFIX}/retry-requested"
ANNOTATION_ASKED_BY = f"{PREFIX}/asked-by"  # its name in 0.1.0, still read

# Of a run that a ReportBackfill asked for: its name has no place in a label where it is long.
ANNOTATION_BACKFILL = f"{PREFIX}/backfill"
LABEL_BACKFILL_UID = f"{PREFIX}/backfill-uid"

# Written before the operator ends a run that would otherwise hang: why it did.
ANNOTATION_FAILURE_REASON = f"{PREFIX}/failure-reason"
ANNOTATION_FAILURE_MESSAGE = f"{PREFIX}/failure-message"

# Of a run that may decide that no report is wanted: its exit code 0 does not say what it did.
ANNOTATION_MAY_SKIP = f"{PREFIX}/may-skip"

# The CronJob controller's own (k8s.io/api/batch/v1).
ANNOTATION_CRONJOB_SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Kueue's own: a suspended Job with it waits for Kueue (apis/constants of sigs.k8s.io/kueue).
LABEL_KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
LABEL_JOB_NAME = "batch.kubernetes.io/job-name"
LABEL_JOB_UID = "batch.kubernetes.io/controller-uid"

JOB_NAME_LIMIT = 63  # it becomes a label's value
CRONJOB_NAME_LIMIT = 52  # the controller appends 11 characters for the Job's name
DEFINITION_DIGITS = 32  # 128 bits of the content's digest: nobody finds other content of that name


def shortened(name: str, limit: int) -> str:
    """The name, with a digest in place of its end where it is too long."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: limit - 11].rstrip('.-')}-{digest}"


def cronjob_name(schedule: str) -> str:
    """The ReportSchedule's own name, shortened with a hash where it is over 52 characters."""
    return shortened(schedule, CRONJOB_NAME_LIMIT)


def schedule_of_cronjob(cronjob: str, said: str) -> str:
    """The ReportSchedule whose CronJob has this name; `said` is what its annotation says.

    An annotation can be edited, a name cannot: it is believed only where the name was shortened.
    """
    return said if cronjob_name(said) == cronjob else cronjob


def job_name(cronjob: str, slot: datetime) -> str:
    """The name that the CronJob controller gives the slot's Job: minutes since the epoch.

    Source: `getJobName` in pkg/controller/cronjob/utils.go of Kubernetes.
    """
    return f"{cronjob}-{int(slot.timestamp()) // 60}"


def attempt_job_name(cronjob: str, slot: datetime, attempt: int) -> str:
    """Name of the Job of an attempt: the same attempt has the same name.

    The first has the name that the CronJob controller would give it, so that a slot which somebody
    asked for by hand is not made once more when the controller comes to it.
    """
    seconds = int(slot.timestamp())
    if attempt == 1 and seconds % 60 == 0:
        return job_name(cronjob, slot)
    stamp = seconds if seconds % 60 else seconds // 60
    return shortened(f"{cronjob}-{stamp}-{attempt}", JOB_NAME_LIMIT)


def definition_digest(content: str) -> str:
    """SHA-256 of a definition's content, as it is passed to the pod of a run."""
    return hashlib.sha256(content.encode()).hexdigest()


def definition_name(cronjob: str, content: str) -> str:
    """Name of the ConfigMap with this content."""
    return f"{cronjob}-{definition_digest(content)[:DEFINITION_DIGITS]}"


def is_definition_name_of(name: str, content: str) -> bool:
    """Whether a ConfigMap of this name was made for this content.

    Earlier versions wrote fewer digits.
    """
    digits = name.rpartition("-")[2]
    return bool(digits) and definition_digest(content).startswith(digits)


def run_id(schedule: str, slot: datetime, attempt: int) -> str:
    """Readable and stable: schedule, slot, attempt."""
    return f"{schedule}.{slot.astimezone(UTC):%Y%m%dT%H%M%SZ}.{attempt}"


def requester(annotations: Mapping[str, str]) -> str:
    """Who asked for a Job or a ReportBackfill; '' where nobody is named."""
    return annotations.get(ANNOTATION_REQUESTED_BY) or annotations.get(ANNOTATION_ASKED_BY, "")


_OBJECT = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", re.ASCII)


def is_object_name(text: str) -> bool:
    """Whether an object can have this name (a DNS subdomain, RFC 1123)."""
    return len(text) <= 253 and _OBJECT.fullmatch(text) is not None


_JOB_ID = re.compile(
    r"(?P<namespace>[a-z0-9]([-a-z0-9]*[a-z0-9])?)[.]"
    r"(?P<schedule>[a-z0-9]([-.a-z0-9]*[a-z0-9])?)[.]\d{8}T\d{6}Z[.]\d+",
    re.ASCII,
)


def job_id(namespace: str, schedule: str, slot: datetime, attempt: int) -> str:
    """The API's and history's name of a run; a namespace has no dot, so it can be split again."""
    return f"{namespace}.{run_id(schedule, slot, attempt)}"


def schedule_of_job_id(identity: str) -> tuple[str, str] | None:
    """Namespace and ReportSchedule of a `job_id`; None for any other text."""
    found = _JOB_ID.fullmatch(identity)
    return (found["namespace"], found["schedule"]) if found else None
