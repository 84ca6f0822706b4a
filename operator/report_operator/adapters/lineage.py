"""Sends the events of finished runs to an OpenLineage receiver, where one is configured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from report_operator.domain.runs.lineage import Event, LineageNames
from report_runner.outbox import Counts, Outbox

CLOSE_SECONDS = 1.0  # at a stop; the next operator does not send these again


class LineageExport:
    """Never waits for the receiver. Without a URL it does nothing; `names` is None then."""

    def __init__(self, url: str, namespace: str, version: str) -> None:
        self.names: LineageNames | None = None
        self._outbox: Outbox[Event] | None = None
        if url:
            self.names = LineageNames(namespace, f"urn:adaf-report-scheduler:{version}")
            self._outbox = Outbox(
                url=url,
                what="events of lineage",
                content_type="application/json",
                encode=_encode,
            )

    @property
    def counts(self) -> Counts:
        return self._outbox.counts if self._outbox else Counts()

    def add(self, events: Iterable[Event]) -> None:
        """Queue them, in their order."""
        if self._outbox is not None:
            for event in events:
                self._outbox.add(event)

    def close(self) -> None:
        """Sends what is queued, where the receiver answers."""
        if self._outbox is not None:
            self._outbox.close(CLOSE_SECONDS)


def _encode(events: Sequence[Event]) -> list[bytes]:
    """A request for each: not every receiver takes a batch."""
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]
