"""What the operator knows of a finished run, as spans of its trace (report_runner.contract.traces).

They are made of the entry in status.recentRuns, so that they say what status and history say. Its
times have whole seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.resource import Key
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.names import job_id, run_id
from report_operator.domain.runs.identity import RunIdentity
from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time
from report_runner.contract import traces
from report_runner.contract.result import Outcome
from report_runner.contract.traces import Link, Span, Value
from report_runner.logs import about

_SECOND = 1_000_000_000


def about_run(run: Run) -> dict[str, Any]:
    """`extra` of a log line about the run."""
    return about_identity(run.identity)


def about_entry(namespace: str, schedule: str, entry: RecentRun) -> dict[str, Any]:
    """`extra` of a log line about a run that has ended."""
    return about(run_id(schedule, entry.slot, entry.attempt), namespace, entry.job)


def about_identity(identity: RunIdentity) -> dict[str, Any]:
    """`extra` of a log line about a run that history has, or is to have."""
    run = run_id(identity.schedule, identity.slot, identity.attempt)
    return about(run, identity.namespace, identity.job)


def about_job(key: Key, slot: datetime, job: Mapping[str, Any]) -> dict[str, Any]:
    """`extra` of a log line about the first attempt of a slot, whose Job was just made."""
    return about(run_id(key.name, slot, 1), key.namespace, job["metadata"]["name"])


def spans_of(
    namespace: str, schedule: str, spec: Mapping[str, Any], entry: RecentRun
) -> list[Span]:
    """The run as a whole, and each of its phases that it came to."""
    identity = job_id(namespace, schedule, entry.slot, entry.attempt)
    trace, whole = traces.trace_id(identity), traces.span_id(identity, traces.RUN)

    def phase(
        name: str, start: datetime | None, end: datetime | None, parent: str = whole
    ) -> list[Span]:
        if start is None or end is None or end < start:
            return []
        return [Span(name, trace, traces.span_id(identity, name), parent, _nano(start), _nano(end))]

    created, admitted = entry.created_at, entry.admitted_at
    first_admitted = admitted
    if created is not None and entry.queued_seconds is not None:
        first_admitted = created + timedelta(seconds=entry.queued_seconds)
    waited = entry.data_wait_seconds is not None
    asked_for = entry.manual or entry.backfill is not None or entry.attempt > 1
    due = entry.slot if not asked_for else created
    begin = min(moment for moment in (due, created, entry.finished_at) if moment is not None)
    pod = traces.span_id(identity, traces.POD)
    failed = entry.outcome is Outcome.FAILED
    return [
        Span(
            name=traces.RUN,
            trace=trace,
            id=whole,
            parent="",
            start=_nano(begin),
            end=_nano(entry.finished_at),
            attributes=_attributes(namespace, schedule, spec, entry),
            failed=entry.reason.value if failed and entry.reason else "",
            links=_links(namespace, schedule, entry),
        ),
        *(phase(traces.SLOT, entry.slot, created) if not asked_for else []),
        *phase(traces.ADMISSION, created, first_admitted or entry.finished_at),
        *(phase(traces.DATA_WAIT, first_admitted, admitted) if waited else []),
        *phase(traces.POD, admitted, entry.finished_at),
        *phase(traces.START, admitted, entry.started_at, pod),
    ]


def _attributes(
    namespace: str, schedule: str, spec: Mapping[str, Any], entry: RecentRun
) -> dict[str, Value]:
    found: dict[str, Value | None] = {
        traces.RUN_ID: run_id(schedule, entry.slot, entry.attempt),
        traces.JOB_ID: job_id(namespace, schedule, entry.slot, entry.attempt),
        traces.NAMESPACE: namespace,
        traces.JOB_NAME: entry.job,
        traces.SCHEDULE: schedule,
        traces.REPORT_TYPE: str(spec.get("reportType", "")),
        traces.TIER: entry.tier or str(spec.get("tier", "")),
        traces.SLOT_TIME: format_time(entry.slot),
        traces.REPORT_DATE: entry.report_date.isoformat() if entry.report_date else None,
        traces.ATTEMPT: entry.attempt,
        traces.MANUAL: entry.manual,
        traces.BACKFILL: entry.backfill,
        traces.OUTCOME: entry.outcome.value,
        traces.REASON: entry.reason.value if entry.reason else None,
        traces.ROWS: entry.rows,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _links(namespace: str, schedule: str, entry: RecentRun) -> tuple[Link, ...]:
    if entry.attempt == 1:
        return ()
    return (traces.link_to(job_id(namespace, schedule, entry.slot, entry.attempt - 1)),)


def _nano(moment: datetime) -> int:
    return int(moment.timestamp()) * _SECOND
