"""Word of every action: a line in the log, and a Kubernetes Event beside what it changed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin_api.errors import UNREACHABLE
from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.resources import EVENTS
from report_operator.domain.names import FIELD_MANAGER
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)

COMPONENT = "report-scheduler-api"


class AuditAction(StrEnum):
    """What was done; the value is the Event's reason."""

    RETRY = "RetryRequested"
    GENERATE = "GenerateRequested"
    PURGE = "PurgeRequested"
    SHUTDOWN = "ShutdownRequested"
    BACKFILL = "BackfillRequested"
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
    """Who did what to which run."""

    kube: KubeClient
    clock: Callable[[], datetime]

    async def tell(self, verb: AuditAction, who: str, what: str, subject: ObjectReference) -> None:
        """`what` names the run, or who is stopped; the same action has one Event.

        An Event that cannot be written does not undo what was done: the log has the line.
        """
        logger.info("audit: %s by %s: %s", verb.name.lower(), who, what)
        digest = hashlib.sha256(f"{subject.uid}/{verb}/{what}".encode()).hexdigest()[:16]
        now = format_time(self.clock())
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{subject.name[:200].rstrip('.-')}.{digest}",
                "namespace": subject.namespace,
            },
            "involvedObject": {
                "apiVersion": subject.api_version,
                "kind": subject.kind,
                "name": subject.name,
                "namespace": subject.namespace,
                "uid": subject.uid,
            },
            "type": "Normal",
            "reason": verb.value,
            "message": f"{what}: asked for by {who}",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": COMPONENT,
        }
        try:
            await self.kube.create(EVENTS, subject.namespace, body)
        except UNREACHABLE as error:
            logger.warning("the event of an action was not written: %s", error)
