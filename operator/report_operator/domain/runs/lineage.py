"""A finished run as events of OpenLineage: when it started, and what became of it.

Source: https://openlineage.io/spec/2-0-2/OpenLineage.json. The events are made of the entry in
status.recentRuns, as the spans of its trace are, so that a run whose pod was killed has its end as
well. What they say are names that Kubernetes shows too, counts, outcome and reason: no SQL, no
message, no row, and no address but that of an object store or an API which the ReportSchedule has
in plain sight.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.names import job_id, run_id
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

Event = dict[str, Any]

SPEC = "https://openlineage.io/spec"
SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:adaf-report-scheduler:run")
# A run that was skipped has ended as it should. Nothing was stopped half-way: no ABORT.
_TYPES = {Outcome.SUCCEEDED: "COMPLETE", Outcome.SKIPPED: "COMPLETE", Outcome.FAILED: "FAIL"}


@dataclass(frozen=True, slots=True)
class LineageNames:
    """`namespace` is that of all jobs in OpenLineage, `producer` a URI of this version."""

    namespace: str
    producer: str


def lineage_run_id(identity: str) -> str:
    """The UUID of a run, by its id in the API: the same whoever asks, and however often."""
    return str(uuid.uuid5(_RUNS, identity))


def lineage_of(
    names: LineageNames,
    namespace: str,
    schedule: str,
    spec: Mapping[str, Any],
    entry: RecentRun,
    current: str | None,
) -> list[Event]:
    """START and what it came to. `spec` is that of the definition `current`, None if of none.

    A run of another definition may have read something else, so its events name no inputs.
    """
    begin = entry.started_at or entry.admitted_at or entry.created_at or entry.finished_at
    begin = min(begin, entry.finished_at)
    known = entry.definition is not None and entry.definition == current
    inputs = _inputs(names, namespace, schedule, spec) if known else []

    def event(kind: str, at: datetime, outputs: list[Event], facets: Event) -> Event:
        return {
            "eventType": kind,
            "eventTime": format_time(at),
            "producer": names.producer,
            "schemaURL": SCHEMA,
            "run": {
                "runId": lineage_run_id(job_id(namespace, schedule, entry.slot, entry.attempt)),
                "facets": facets,
            },
            "job": {
                "namespace": names.namespace,
                "name": f"{namespace}.{schedule}",
                "facets": {
                    "jobType": _facet(
                        names, "2-0-4/JobTypeJobFacet",
                        processingType="BATCH", integration="REPORT_SCHEDULER", jobType="REPORT",
                    ),
                },
            },
            "inputs": inputs,
            "outputs": outputs,
        }  # fmt: skip

    facets = {
        "nominalTime": _facet(
            names, "1-0-1/NominalTimeRunFacet", nominalStartTime=format_time(entry.slot)
        ),
        "tags": _facet(names, "1-0-0/TagsRunFacet", tags=_tags(schedule, spec, entry)),
    }
    ended = dict(facets)
    if entry.outcome is Outcome.FAILED and entry.reason is not None:
        ended["errorMessage"] = _facet(
            names, "1-0-1/ErrorMessageRunFacet",
            message=entry.reason.value, programmingLanguage="Python",
        )  # fmt: skip
    outputs = _outputs(names, namespace, schedule, entry)
    return [
        event("START", begin, [], facets),
        event(_TYPES[entry.outcome], entry.finished_at, outputs, ended),
    ]


def _facet(names: LineageNames, schema: str, **content: Any) -> Event:
    kind = schema.partition("/")[2]
    url = f"{SPEC}/facets/{schema}.json#/$defs/{kind}"
    return {"_producer": names.producer, "_schemaURL": url, **content}


def _tags(schedule: str, spec: Mapping[str, Any], entry: RecentRun) -> list[Event]:
    found = {
        "run_id": run_id(schedule, entry.slot, entry.attempt),
        "report_type": spec.get("reportType"),
        "tier": entry.tier,
        "report_date": entry.report_date,
        "attempt": entry.attempt,
        "outcome": entry.outcome.value,
        "reason": entry.reason.value if entry.reason else None,
        "backfill": entry.backfill,
    }
    return [
        {"key": key, "value": str(value), "source": "REPORT_SCHEDULER"}
        for key, value in found.items()
        if value is not None
    ]


def _inputs(
    names: LineageNames, namespace: str, schedule: str, spec: Mapping[str, Any]
) -> list[Event]:
    """What is made of other sources, or stands in the ReportSchedule itself, is no dataset.

    Nor is a source that is only waited for: nothing of it is in the report.
    """
    report = spec.get("report") or {}
    sources = report.get("sources") or ()
    wait = report.get("waitFor") or {}
    excluded = wait.get("source") if wait.get("excludeSource") else None
    return [
        {"namespace": place, "name": name, "facets": {}}
        for source in sources
        if "inline" not in source and "query" not in source and source["name"] != excluded
        for place, name in [
            _place(source) or (names.namespace, f"{namespace}.{schedule}.{source['name']}")
        ]
    ]


def _place(source: Mapping[str, Any]) -> tuple[str, str] | None:
    """Namespace and name by OpenLineage's naming; None where a Secret has the place.

    A path and the query of a URL may hold an account's number: of an API it is the host alone.
    """
    if "object" in source:
        return f"s3://{source['object']['bucket']}", source["object"]["key"]
    if "http" in source:
        try:
            parts = urlsplit(source["http"]["url"])
        except ValueError:
            return None
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme and host and "{" not in host:
            return f"{parts.scheme}://{host}", str(source["name"])
    return None


def _outputs(names: LineageNames, namespace: str, schedule: str, entry: RecentRun) -> list[Event]:
    """One for each format: a dataset is what is made anew each time, not the file of one day."""
    formats = sorted({path.rpartition(".")[2] for path in entry.outputs})
    return [
        {"namespace": names.namespace, "name": f"{namespace}.{schedule}.{kind}", "facets": {}}
        for kind in formats
    ]
