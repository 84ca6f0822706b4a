"""Exports the operator's spans of runs to a collector, where one is configured."""

from __future__ import annotations

from collections.abc import Iterable

from report_runner.contract.traces import Span
from report_runner.otlp import span_outbox
from report_runner.outbox import Counts, Outbox

CLOSE_SECONDS = 1.0  # at a stop; the next operator does not export these again


class TraceExport:
    """Never waits for the collector. Without an endpoint it does nothing."""

    def __init__(self, endpoint: str, version: str) -> None:
        resource = {"service.name": "report-scheduler", "service.version": version}
        self._outbox: Outbox[Span] | None = span_outbox(endpoint, resource) if endpoint else None

    @property
    def counts(self) -> Counts | None:
        """None where traces are off."""
        return self._outbox.counts if self._outbox else None

    def add(self, spans: Iterable[Span]) -> None:
        """Queue them."""
        if self._outbox is not None:
            for span in spans:
                self._outbox.add(span)

    def close(self) -> None:
        """Sends what is queued, where the collector answers."""
        if self._outbox is not None:
            self._outbox.close(CLOSE_SECONDS)
