"""What a run in its pod tells beside its result: lines of its log, and the spans of its trace.

All of it is of the operator's configuration (contract.pod); an author writes none of it. Neither
delays nor fails a run: the result is left before the last spans are sent, and these have half a
second, which an endpoint that has not answered before is not given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from report_runner.contract import pod, traces
from report_runner.contract.result import Outcome, RunResult
from report_runner.contract.traces import Span, Value
from report_runner.logs import LogFormat, LogLevel, set_up_logging
from report_runner.otlp import span_outbox
from report_runner.outbox import Outbox
from report_runner.tracing import Recorder, recording

CLOSE_SECONDS = 0.5

Word = TypeVar("Word", LogFormat, LogLevel)

logger = logging.getLogger(__name__)


def set_up_run_logging(environment: Mapping[str, str], redact: Callable[[str], str]) -> None:
    """The lines of a run: each has its id."""
    set_up_logging(
        *log_settings(environment),
        redact,
        {
            "run": environment.get(pod.ENV_RUN_ID, ""),
            "namespace": environment.get(pod.ENV_NAMESPACE, ""),
        },
        traced=bool(environment.get(pod.ENV_OTLP_ENDPOINT)),
    )
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.ERROR)


def log_settings(environment: Mapping[str, str]) -> tuple[LogFormat, LogLevel]:
    """As the operator's configuration has them."""
    return (
        _one_of(LogFormat, environment.get(pod.ENV_LOG_FORMAT), LogFormat.JSON),
        _one_of(LogLevel, environment.get(pod.ENV_LOG_LEVEL), LogLevel.INFO),
    )


def _one_of(kind: type[Word], text: str | None, usual: Word) -> Word:
    try:
        return kind(text or usual)
    except ValueError:
        return usual  # a run is not given up for a word of its log


@dataclass(slots=True)
class Telemetry:
    """Of one try of a run; without a recorder nothing is exported."""

    recorder: Recorder | None = None

    def finish(self, result: RunResult) -> None:
        """Adds what became of the try to its span."""
        if self.recorder is None:
            return
        if result.not_ready is None and result.outcome is Outcome.FAILED and result.reason:
            self.recorder.fail(result.reason.value)
        self.recorder.describe(outcome_attributes(result))


def outcome_attributes(result: RunResult) -> dict[str, Value]:
    """Words and numbers alone: a message may have data in it."""
    found: dict[str, Value] = {
        traces.OUTCOME: "NotReady" if result.not_ready else result.outcome.value,
        traces.ROWS: sum(result.rows.values()),
    }
    if result.reason is not None:
        found[traces.REASON] = result.reason.value
    if result.pages is not None:
        found[traces.PAGES] = result.pages
    return found


@contextmanager
def exported(environment: Mapping[str, str]) -> Iterator[Telemetry]:
    """Records the try in the block and exports it, where a collector is configured."""
    endpoint = environment.get(pod.ENV_OTLP_ENDPOINT, "")
    run, namespace = (environment.get(name, "") for name in (pod.ENV_RUN_ID, pod.ENV_NAMESPACE))
    if not endpoint or not run or not namespace:
        yield Telemetry()
        return
    outbox = span_outbox(
        endpoint, {"service.name": "report-generator", traces.NAMESPACE: namespace}
    )
    recorder = Recorder(
        f"{namespace}.{run}",
        outbox.add,
        attributes={
            traces.RUN_ID: run,
            traces.JOB_ID: f"{namespace}.{run}",
            traces.NAMESPACE: namespace,
            traces.POD_NAME: environment.get(pod.ENV_POD_NAME, ""),
        },
    )
    with recording(recorder):
        yield Telemetry(recorder)
    _close(outbox)


def _close(outbox: Outbox[Span]) -> None:
    outbox.close(CLOSE_SECONDS)
    if outbox.counts.dropped:
        logger.warning("%d spans of the trace were not exported", outbox.counts.dropped)
