"""What a run in its pod records for its trace: the try, its stages, and the parts of these.

`stage` and `span` do nothing outside of `recording`, so that who calls them need not know whether
traces are exported.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from report_runner.contract import traces
from report_runner.contract.traces import Span, Value
from report_runner.models import RunError

Emit = Callable[[Span], None]


@dataclass(slots=True)
class OpenSpan:
    """A span that has not ended."""

    name: str
    id: str
    parent: str
    start: int
    attributes: dict[str, Value] = field(default_factory=dict)
    failed: str = ""


@dataclass(slots=True)
class Recorder:
    """The spans of one try; `emit` gets each when it ends."""

    job_id: str
    emit: Emit
    now: Callable[[], int] = time.time_ns
    attributes: dict[str, Value] = field(default_factory=dict)
    _open: list[OpenSpan] = field(default_factory=list)  # the try, the stage, and parts of it

    def begin(self, name: str) -> OpenSpan:
        parent = self._open[-1].id if self._open else traces.span_id(self.job_id, traces.POD)
        opened = OpenSpan(name, secrets.token_hex(8), parent, self.now())
        self._open.append(opened)
        return opened

    def end(self, opened: OpenSpan) -> None:
        """Ends it, and what was begun in it and not ended."""
        while self._open and opened in self._open:
            last = self._open.pop()
            self.emit(
                Span(
                    name=last.name,
                    trace=traces.trace_id(self.job_id),
                    id=last.id,
                    parent=last.parent,
                    start=last.start,
                    end=self.now(),
                    attributes=last.attributes,
                    failed=last.failed,
                )
            )

    def stage(self, name: str) -> None:
        """Ends the stage before."""
        if len(self._open) > 1:
            self.end(self._open[1])
        self.begin(name)

    def describe(self, attributes: Mapping[str, Value]) -> None:
        """More of the try, while it is open."""
        if self._open:
            self._open[0].attributes |= attributes

    def fail(self, reason: str) -> None:
        """The try and its stage have failed."""
        for opened in self._open:
            opened.failed = reason


_current: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recording(recorder: Recorder) -> Iterator[OpenSpan]:
    """The span of the try is open in the block, and `stage` and `span` are recorded."""
    token = _current.set(recorder)
    opened = recorder.begin(traces.RUNNER)
    opened.attributes |= recorder.attributes
    try:
        yield opened
    finally:
        recorder.end(opened)
        _current.reset(token)


def stage(name: str) -> None:
    """A new stage of the run begins."""
    recorder = _current.get()
    if recorder is not None:
        recorder.stage(name)


@contextmanager
def span(kind: str, attributes: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """A part of the stage; attributes may be added to what it yields."""
    recorder = _current.get()
    if recorder is None:
        yield {}
        return
    opened = recorder.begin(kind)
    opened.attributes |= attributes
    try:
        yield opened.attributes
    except RunError as error:
        opened.failed = error.reason.value
        raise
    finally:
        recorder.end(opened)
