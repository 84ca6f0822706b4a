"""Kubernetes Events: each is written once; warnings are read where a pod does not start."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.resources import EVENTS
from report_operator.adapters.kube.skipped import SkippedObject
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.domain.names import FIELD_MANAGER
from report_operator.domain.runs.pending import EventNote
from report_operator.domain.schedules.transitions import WARNING, Transition
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_operator.domain.times import format_time, parse_time

logger = logging.getLogger(__name__)

WAITING_LIMIT = 10_000  # events; beyond that the oldest are dropped, status says the same
SKIPPED_WAITING_LIMIT = 500  # events; the log names skipped objects in any case
FRESH_SECONDS = 5.0
FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Recorder:
    """Events are written in the background: nothing waits for them."""

    kube: KubeClient
    instance: str
    _waiting: asyncio.Queue[dict[str, Any]] = field(
        default_factory=lambda: asyncio.Queue(WAITING_LIMIT)
    )
    _notes: TTLCache[tuple[str, str, str], list[EventNote]] = field(init=False)

    def __post_init__(self) -> None:
        self._notes = TTLCache(self._read_notes, FRESH_SECONDS)

    def record(self, about: Mapping[str, Any], event: Transition) -> None:
        """Write an Event about a transition. The same transition makes the same Event."""
        meta = about["metadata"]
        digest = hashlib.sha256(f"{meta['uid']}/{event.reason}/{event.key}".encode()).hexdigest()[
            :16
        ]
        at = format_time(event.at)
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{meta['name'][:200].rstrip('.-')}.{digest}",
                "namespace": meta["namespace"],
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "type": event.kind,
            "reason": event.reason,
            "message": event.message[:1000],
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": self.instance,
        }
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
            logger.warning("too many events are waiting: the oldest is dropped")
        self._waiting.put_nowait(body)

    def record_skipped(self, skipped: SkippedObject, body: Mapping[str, Any], at: datetime) -> None:
        """A warning on the object, unless so many wait that those of others would be late."""
        type_meta = body.get("apiVersion"), body.get("kind")
        if None in type_meta or "?" in (skipped.namespace, skipped.name, skipped.uid):
            return
        if self.waiting >= SKIPPED_WAITING_LIMIT:
            return
        self.record(body, Transition(WARNING, "Skipped", skipped.reason, at, skipped.reason))

    @property
    def waiting(self) -> int:
        """Number of Events that are not written yet."""
        return self._waiting.qsize()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            body = await self._waiting.get()
            try:
                await self.kube.create(EVENTS, body["metadata"]["namespace"], body)
            except (*API_ERRORS, TypeError) as error:
                logger.warning("an event could not be written: %s", error)
            finally:
                self._waiting.task_done()

    async def finish(self, seconds: float) -> None:
        """Wait until what was recorded is written, at most this long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waiting.join()

    async def events_about(self, kind: str, namespace: str, name: str) -> list[EventNote]:
        """Events about a Pod, Job or CronJob, newest last; at most 5 s old."""
        return await self._notes.get((kind, namespace, name))

    async def _read_notes(self, about: tuple[str, str, str]) -> list[EventNote]:
        kind, namespace, name = about
        chosen = f"involvedObject.kind={kind},involvedObject.name={name}"
        events = await self.kube.list(EVENTS, namespace, fields=chosen)
        return sorted(map(_note, events), key=lambda note: note.seen_at or FIRST)


def _note(event: Mapping[str, Any]) -> EventNote:
    """events.k8s.io counts repetitions in `series`, core/v1 in `lastTimestamp`.

    Whoever may write Events may write any instant.
    """
    told = (
        (event.get("series") or {}).get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
    try:
        seen_at = parse_time(told)
    except ValueError:
        seen_at = None
    return EventNote(
        str(event.get("reason") or ""),
        cut(str(event.get("message") or ""), MESSAGE_LIMIT),
        warning=event.get("type") == "Warning",
        seen_at=seen_at,
    )
