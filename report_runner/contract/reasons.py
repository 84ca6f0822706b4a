"""Why a run failed or was skipped: one vocabulary for status, events, metrics, exit codes, API."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Failure reasons. The first six are the common causes of the on-call runbook."""

    DATABASE_UNAVAILABLE = "DatabaseUnavailable"
    RESOURCE_EXHAUSTED = "ResourceExhausted"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    EXTERNAL_SOURCE_UNAVAILABLE = "ExternalSourceUnavailable"
    CONFIGURATION_ERROR = "ConfigurationError"
    QUEUE_TIMEOUT = "QueueTimeout"
    TIMEOUT = "Timeout"
    DATA_CHECK_FAILED = "DataCheckFailed"
    DATA_NOT_READY = "DataNotReady"
    DATA_CORRUPTED = "DataCorrupted"
    EMPTY_REPORT = "EmptyReport"
    DELIVERY_FAILED = "DeliveryFailed"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    NODE_LOST = "NodeLost"
    # What kept a pod, or a run's Job, from being made or started.
    QUOTA_EXCEEDED = "QuotaExceeded"
    LIMIT_RANGE_VIOLATED = "LimitRangeViolated"
    POD_SECURITY_VIOLATED = "PodSecurityViolated"
    ADMISSION_DENIED = "AdmissionDenied"
    OBJECT_NOT_FOUND = "ObjectNotFound"
    UNSCHEDULABLE = "Unschedulable"
    CONTAINER_NOT_STARTED = "ContainerNotStarted"
    PREEMPTED = "Preempted"
    REPLACED = "Replaced"
    JOB_DELETED = "JobDeleted"
    INTERNAL_ERROR = "InternalError"
    # Nothing failed: no report was wanted. Only with Outcome.SKIPPED.
    HOLIDAY = "Holiday"
    CONDITION_FALSE = "ConditionFalse"
    UNCHANGED = "Unchanged"


_NEVER_FAILURES = (Reason.HOLIDAY, Reason.CONDITION_FALSE, Reason.UNCHANGED)
# Data that are not ready are a failure, or a reason to skip, as the author wants it.
SKIP_REASONS = (*_NEVER_FAILURES, Reason.DATA_NOT_READY)
FAILURE_REASONS = tuple(reason for reason in Reason if reason not in _NEVER_FAILURES)

EXIT_OK = 0
EXIT_USAGE = 64  # EX_USAGE: the command line itself is wrong

# sysexits(3), one code per reason, so that a pod that could not leave a result still says why.
EXIT_CODES: dict[Reason, int] = {
    Reason.DATA_CHECK_FAILED: 65,  # EX_DATAERR
    Reason.EMPTY_REPORT: 66,  # EX_NOINPUT
    Reason.EXTERNAL_SOURCE_UNAVAILABLE: 68,  # EX_NOHOST
    Reason.DATABASE_UNAVAILABLE: 69,  # EX_UNAVAILABLE
    Reason.INTERNAL_ERROR: 70,  # EX_SOFTWARE
    Reason.RESOURCE_EXHAUSTED: 71,  # EX_OSERR
    Reason.DATA_NOT_READY: 72,  # EX_OSFILE: what the run needs is not there
    Reason.DATA_CORRUPTED: 73,  # EX_CANTCREAT has no better use here
    Reason.STORAGE_UNAVAILABLE: 74,  # EX_IOERR
    Reason.DELIVERY_FAILED: 75,  # EX_TEMPFAIL
    Reason.TIMEOUT: 76,  # EX_PROTOCOL has no better use here
    Reason.CONFIGURATION_ERROR: 78,  # EX_CONFIG
}

# No failure: the data are not ready yet (spec.report.waitFor), and the run waits for its next
# check. sysexits(3) ends at 78.
EXIT_NOT_READY_YET = 79

# A further try cannot mend these: the Job fails at the first one. Data that were not ready at the
# deadline have been waited for long enough; a damaged database is not to be read again. A failed
# check and an empty report are tried again: the data may still be loading.
PERMANENT_EXIT_CODES: tuple[int, ...] = (
    EXIT_USAGE,
    EXIT_CODES[Reason.DATA_NOT_READY],
    EXIT_CODES[Reason.DATA_CORRUPTED],
    EXIT_CODES[Reason.CONFIGURATION_ERROR],
)


def reason_of_exit_code(code: int) -> Reason:
    """The reason an exit code stands for; `InternalError` for one that is not in the table."""
    if code == EXIT_USAGE:
        return Reason.CONFIGURATION_ERROR
    if code == EXIT_NOT_READY_YET:
        return Reason.DATA_NOT_READY
    return next((r for r, c in EXIT_CODES.items() if c == code), Reason.INTERNAL_ERROR)
