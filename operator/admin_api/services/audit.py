"""Every action leaves a line in the log and a Kubernetes Event on the object it concerns."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from admin_api.errors import UNREACHABLE
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.resources import EVENTS
from report_operator.domain.names import FIELD_MANAGER, schedule_of_job_id
from report_operator.domain.times import format_time
from report_runner.logs import about

logger = logging.getLogger(__name__)

COMPONENT = "report-scheduler-api"


class AuditAction(StrEnum):
    """The value is the Event's reason."""

    RETRY = "RetryRequested"
    GENERATE = "GenerateRequested"
    ACKNOWLEDGE = "FailureAcknowledged"
    PRIORITY = "PriorityRaised"
    VERIFY = "VerificationRequested"
    PURGE = "PurgeRequested"
    SHUTDOWN = "ShutdownRequested"
    BACKFILL = "BackfillRequested"
    CANCEL = "BackfillCancelled"
    CLEAR = "DeadLettersCleared"


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Audit:
    kube: KubeClient
    clock: Callable[[], datetime]

    async def record(
        self, action: AuditAction, requested_by: str, target: str, reference: ObjectReference
    ) -> None:
        """`target` is a run, a backfill or an operator; a repeated action has one Event.

        An Event that cannot be written is only logged, because the action has been taken.
        """
        extra = _about(target, reference)
        logger.info("audit: %s by %s: %s", action.name.lower(), requested_by, target, extra=extra)
        digest = hashlib.sha256(f"{reference.uid}/{action}/{target}".encode()).hexdigest()[:16]
        now = format_time(self.clock())
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{reference.name[:200].rstrip('.-')}.{digest}",
                "namespace": reference.namespace,
            },
            "involvedObject": {
                "apiVersion": reference.api_version,
                "kind": reference.kind,
                "name": reference.name,
                "namespace": reference.namespace,
                "uid": reference.uid,
            },
            "type": "Normal",
            "reason": action.value,
            "message": f"{target}: requested by {requested_by}",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": COMPONENT,
        }
        try:
            await self.kube.create(EVENTS, reference.namespace, body)
        except UNREACHABLE as error:
            logger.warning("audit: the Event was not written: %s", error, extra=extra)


def _about(target: str, reference: ObjectReference) -> dict[str, Any]:
    """`extra` of the line, where the target begins with a run's id."""
    identity = target.split(" ", 1)[0]
    if schedule_of_job_id(identity) is None:
        return {}
    namespace, _, run = identity.partition(".")
    return about(run, namespace, reference.name if reference.kind == "Job" else "")
