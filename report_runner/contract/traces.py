"""Traces of runs: one trace for each run, made by operator and runner without passing state.

Trace and span ids follow from the run's id in the API (`namespace.schedule.slot.attempt`), so that
operator, runner and API agree on them. A retry is a run of its own: its trace links to that of the
attempt before.

    report run            slot (or its Job, of a run that was asked for) until its outcome
    ├ slot                until its Job was made
    ├ admission           until it was let start for the first time
    ├ wait for data       until it was let start for the last time
    └ pod                 until the Job ended
      ├ start             until a container ran
      └ runner            a try, with a span for each stage; in these, for each source and channel

Names of spans and attributes are fixed here. Values are names that Kubernetes shows as well,
numbers, and words of this project: no SQL, no address, no row and no message is among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | int | float | bool

RUN, SLOT, ADMISSION, DATA_WAIT = "report run", "slot", "admission", "wait for data"
POD, START, RUNNER = "pod", "start", "runner"
SOURCE, CHANNEL, FORMAT = "source", "channel", "format"

# The id in logs, in the header X-Report-Run and in application_name; with the namespace before it,
# the id in the API.
RUN_ID = "report.run_id"
JOB_ID = "report.job_id"
NAMESPACE, JOB_NAME, POD_NAME = "k8s.namespace.name", "k8s.job.name", "k8s.pod.name"
SCHEDULE, REPORT_TYPE, TIER = "report.schedule", "report.type", "report.tier"
SLOT_TIME, REPORT_DATE, ATTEMPT = "report.slot", "report.date", "report.attempt"
MANUAL, BACKFILL = "report.manual", "report.backfill"
OUTCOME, REASON = "report.outcome", "report.reason"
ROWS, PAGES, CACHED, KIND, NAME = (
    "report.rows", "report.pages", "report.cached", "report.kind", "report.name"
)  # fmt: skip
TARGETS = "report.targets"  # with a status behind it: how many targets of a channel have it


@dataclass(frozen=True, slots=True)
class Link:
    trace: str
    span: str


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since the epoch, ids are hexadecimal; `failed` has a reason's name."""

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed: str = ""
    links: Sequence[Link] = ()


def trace_id(job_id: str) -> str:
    """Of a run, by its id in the API: 32 hexadecimal digits."""
    return hashlib.sha256(f"run {job_id}".encode()).hexdigest()[:32]


def span_id(job_id: str, name: str) -> str:
    """Of the span that a run has once: 16 hexadecimal digits."""
    return hashlib.sha256(f"span {job_id} {name}".encode()).hexdigest()[:16]


def link_to(job_id: str) -> Link:
    """To the whole of another run."""
    return Link(trace_id(job_id), span_id(job_id, RUN))
