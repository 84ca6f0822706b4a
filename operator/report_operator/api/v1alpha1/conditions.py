"""Conditions and their reasons: the vocabulary of `kubectl describe`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

# Of an object that no operator has looked at: the API server itself says so from the first read
# on, since kstatus takes an object without any status for finished.
UNSEEN: dict[str, Any] = {
    "observedGeneration": -1,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "no report scheduler has looked at it yet",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ],
}


class ConditionType(StrEnum):
    """The conditions of a ReportSchedule. The last three are there only where they are True."""

    READY = "Ready"
    DELAYED = "Delayed"
    FAILING = "Failing"
    ZONE_DATA = "ZoneDataDiffers"
    STALLED = "Stalled"
    RECONCILING = "Reconciling"


class ReadyReason(StrEnum):
    """Why the definition is in effect, or is not."""

    READY = "Ready"
    INVALID_SPEC = "InvalidSpec"
    INVALID_SCHEDULE = "InvalidSchedule"
    INVALID_TIME_ZONE = "InvalidTimeZone"
    CALENDAR_NOT_FOUND = "CalendarNotFound"
    CALENDAR_INVALID = "CalendarInvalid"
    TEMPLATE_NOT_FOUND = "TemplateNotFound"
    TEMPLATE_INVALID = "TemplateInvalid"
    TEMPLATE_TOO_LARGE = "TemplateTooLarge"
    DEFINITION_TOO_LARGE = "DefinitionTooLarge"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  (a reason, not a secret)
    SECRET_NOT_ALLOWED = "SecretNotAllowed"  # noqa: S105
    TIER_NOT_ALLOWED = "TierNotAllowed"
    PRIORITY_NOT_ALLOWED = "PriorityNotAllowed"
    NAME_CONFLICT = "NameConflict"
    API_ERROR = "ApiError"
    INTERNAL_ERROR = "InternalError"


class BackfillConditionType(StrEnum):
    """The conditions of a ReportBackfill. The last two are there only where they are True."""

    READY = "Ready"
    COMPLETE = "Complete"
    STALLED = "Stalled"
    RECONCILING = "Reconciling"


class BackfillReason(StrEnum):
    """Why runs can be made or cannot (Ready), and how far it is (Complete)."""

    READY = "Ready"
    INVALID_SPEC = "InvalidSpec"
    NO_SCHEDULE = "NoSchedule"
    SCHEDULE_NOT_READY = "ScheduleNotReady"
    TOO_MANY_SLOTS = "TooManySlots"
    HISTORY_UNAVAILABLE = "HistoryUnavailable"
    API_ERROR = "ApiError"
    INTERNAL_ERROR = "InternalError"
    IN_PROGRESS = "InProgress"
    SUSPENDED = "Suspended"
    ALL_SUCCEEDED = "AllSucceeded"
    SOME_FAILED = "SomeFailed"
    NO_SLOT = "NoSlot"
    DRY_RUN = "DryRun"
