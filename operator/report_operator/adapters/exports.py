"""Sends what runs leave behind to the receivers that are configured: traces, and OpenLineage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.runs.lineage import Event, LineageNames, lineage_of
from report_operator.domain.runs.spans import spans_of
from report_runner.contract.traces import Span
from report_runner.otlp import span_outbox
from report_runner.outbox import Counts, Outbox

T = TypeVar("T")

TRACES, LINEAGE = SIGNALS = ("traces", "lineage")
CLOSE_SECONDS = 1.0  # at a stop; the next operator does not send these again


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run whose outcome status has just accepted.

    `spec` is the schedule's, of the definition `definition`; None if that is of none.
    """

    namespace: str
    schedule: str
    spec: Mapping[str, Any]
    entry: RecentRun
    definition: str | None


@dataclass(frozen=True, slots=True)
class Export(Generic[T]):
    """Never waits for the receiver. `signal` is one of SIGNALS."""

    signal: str
    items_of: Callable[[RecordedRun], Iterable[T]]
    outbox: Outbox[T]

    @property
    def counts(self) -> Counts:
        return self.outbox.counts

    def add(self, run: RecordedRun) -> None:
        """Queues the run's items, in their order."""
        for item in self.items_of(run):
            self.outbox.add(item)

    def close(self) -> None:
        """Sends what is queued, where the receiver answers."""
        self.outbox.close(CLOSE_SECONDS)


def trace_export(endpoint: str, version: str) -> Export[Span]:
    """`endpoint` is the base URL of a collector that speaks OTLP over HTTP."""

    def spans(run: RecordedRun) -> list[Span]:
        return spans_of(run.namespace, run.schedule, run.spec, run.entry)

    resource = {"service.name": "report-scheduler", "service.version": version}
    return Export(TRACES, spans, span_outbox(endpoint, resource))


def lineage_export(url: str, namespace: str, version: str) -> Export[Event]:
    """`url` takes events of OpenLineage, whose jobs are in `namespace`."""
    names = LineageNames(namespace, f"urn:adaf-report-scheduler:{version}")

    def events(run: RecordedRun) -> list[Event]:
        return lineage_of(names, run.namespace, run.schedule, run.spec, run.entry, run.definition)

    outbox = Outbox(
        url=url, what="events of lineage", content_type="application/json", encode=_encode
    )  # fmt: skip
    return Export(LINEAGE, events, outbox)


def _encode(events: Sequence[Event]) -> list[bytes]:
    """A request for each: not every receiver takes a batch."""
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]
