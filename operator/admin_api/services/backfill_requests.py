"""ReportBackfills of a request, computed without I/O: a repeated request gives the same ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.backfills import (
    Backfill,
    BackfillRequest,
    Backfills,
    BackfillsQuery,
    WouldRun,
)
from admin_api.services.cursor import decode_cursor, encode_cursor
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.known_names import KNOWN_LIMIT, listed
from report_operator.api.v1alpha1.backfill import KIND, parse_backfill_spec, parse_backfill_status
from report_operator.api.v1alpha1.backfill_spec import RANGE_LIMIT
from report_operator.api.v1alpha1.resource import API_VERSION, SpecError
from report_operator.domain import names
from report_operator.domain.cron.schedule import ScheduleError, load_zone
from report_operator.domain.times import format_time

Body = dict[str, Any]


def backfills_for(
    request: BackfillRequest,
    schedules: Sequence[ScheduleSummary],
    requested_by: str,
    idempotency_key: str | None,
    now: datetime,
) -> list[Body]:
    """One ReportBackfill for each namespace concerned. Raises RefusedError.

    The name is derived from the request and its day (UTC), or from the key where there is one.
    """
    chosen = _choose(request, schedules)
    _check_dates(request, chosen, now)
    made = []
    for namespace in sorted({schedule.namespace for schedule in chosen}):
        spec = _spec(request, [s for s in chosen if s.namespace == namespace])
        occasion = idempotency_key or f"{now:%Y-%m-%d}"
        text = json.dumps([namespace, spec, occasion], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        body: Body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": f"backfill-{request.start_date:%Y%m%d}-{request.end_date:%Y%m%d}-{digest}",
                "namespace": namespace,
                "annotations": {names.ANNOTATION_REQUESTED_BY: requested_by},
            },
            "spec": spec,
        }
        try:
            parse_backfill_spec(body)
        except SpecError as error:
            raise RefusedError(422, str(error)) from error
        made.append(body)
    return made


def _choose(
    request: BackfillRequest, schedules: Sequence[ScheduleSummary]
) -> list[ScheduleSummary]:
    if not request.report_types and request.schedule is None:
        raise RefusedError(422, "report_types: name types or tiers, or name a schedule")
    in_namespace = [s for s in schedules if request.namespace in (None, s.namespace)]
    types = {schedule.report_type for schedule in in_namespace}
    tiers = {schedule.tier for schedule in in_namespace}
    unknown = [name for name in request.report_types if name not in types | tiers]
    if unknown:
        raise RefusedError(
            404,
            f"no ReportSchedule here has the type or tier {', '.join(unknown[:KNOWN_LIMIT])}; "
            f"known types: {listed(types)}; known tiers: {listed(tiers)}",
        )
    wanted = set(request.report_types)
    found = [
        schedule
        for schedule in in_namespace
        if (not wanted or schedule.report_type in wanted or schedule.tier in wanted)
        and request.schedule in (None, schedule.name)
    ]
    if not found:
        raise RefusedError(
            404,
            f"no ReportSchedule {request.schedule} is selected; known ones: "
            + listed({schedule.name for schedule in in_namespace}),
        )
    return found


def _check_dates(
    request: BackfillRequest, schedules: Sequence[ScheduleSummary], now: datetime
) -> None:
    if request.end_date < request.start_date:
        raise RefusedError(422, "end_date: lies before start_date; exchange the two")
    if request.end_date - request.start_date >= RANGE_LIMIT:
        raise RefusedError(
            422, f"end_date: a backfill spans at most {RANGE_LIMIT.days} days; split the range"
        )
    today = max(_today(schedule, now) for schedule in schedules)
    if request.end_date > today:
        raise RefusedError(
            422,
            f"end_date: {request.end_date} has not begun for any of these schedules; {today} is "
            "the last day that has",
        )


def _today(schedule: ScheduleSummary, now: datetime) -> date:
    try:
        return now.astimezone(load_zone(schedule.time_zone)).date()
    except ScheduleError:  # its status says so, and so will the backfill's
        return now.date()


def _spec(request: BackfillRequest, schedules: Sequence[ScheduleSummary]) -> Body:
    """The spec for one namespace; `schedules` are those in it that the request selects."""
    spec: Body = {
        "startDate": request.start_date.isoformat(),
        "endDate": request.end_date.isoformat(),
        "reprocess": request.reprocess.value,
        "maxConcurrent": request.max_concurrent,
        "dryRun": request.dry_run,
    }
    if request.parameters:
        spec["parameters"] = dict(request.parameters)
    if request.schedule is not None:
        return spec | {"schedules": [request.schedule]}
    wanted = set(request.report_types)
    kinds = {
        "reportTypes": sorted({schedule.report_type for schedule in schedules} & wanted),
        "tiers": sorted({schedule.tier for schedule in schedules} & wanted),
    }
    return spec | {field: found for field, found in kinds.items() if found}


def describe(body: Mapping[str, Any]) -> Backfill:
    """Raises SpecError where the object's spec is invalid."""
    meta, spec, status = body["metadata"], parse_backfill_spec(body), parse_backfill_status(body)
    conditions = {condition.type.value: condition for condition in status.conditions}
    ready, complete = conditions.get("Ready"), conditions.get("Complete")
    reported = ready if ready is not None and ready.status == "False" else complete
    return Backfill(
        namespace=meta["namespace"],
        name=meta["name"],
        state=status.state,
        progress=status.progress,
        message=reported.message if reported else "the operator has not seen it yet",
        total=status.total,
        done=status.done,
        failed=status.failed,
        running=status.running,
        skipped=status.skipped,
        start_date=spec.start_date,
        end_date=spec.end_date,
        report_types=spec.report_types,
        tiers=[tier.value for tier in spec.tiers],
        schedules=spec.schedules,
        reprocess=spec.reprocess,
        max_concurrent=spec.max_concurrent,
        dry_run=spec.dry_run,
        suspend=spec.suspend,
        would_run=[WouldRun.model_validate(run, from_attributes=True) for run in status.would_run],
        would_run_count=status.would_run_count,
        requested_by=names.requester(meta.get("annotations") or {}) or None,
        created_at=meta["creationTimestamp"],
        completed_at=status.completion_time,
    )


def page_of(bodies: Sequence[Mapping[str, Any]], query: BackfillsQuery) -> Backfills:
    """Newest first; a ReportBackfill with an invalid spec is left out. Raises RefusedError."""
    before = _read_cursor(query.cursor) if query.cursor else None
    found: list[Backfill] = []
    for body in sorted(bodies, key=_order, reverse=True):
        if query.namespace not in (None, body["metadata"]["namespace"]):
            continue
        if query.name not in (None, body["metadata"]["name"]):
            continue
        if before is not None and _order(body) >= before:
            continue
        try:
            backfill = describe(body)
        except ValueError:
            continue
        if query.state in (None, backfill.state):
            if len(found) == query.limit:
                return Backfills(backfills=found, next=_cursor(found[-1]))
            found.append(backfill)
    return Backfills(backfills=found)


def _order(body: Mapping[str, Any]) -> tuple[str, str, str]:
    meta = body["metadata"]
    return meta["creationTimestamp"], meta["name"], meta["namespace"]


def _cursor(last: Backfill) -> str:
    return encode_cursor(format_time(last.created_at), last.name, last.namespace)


def _read_cursor(cursor: str) -> tuple[str, str, str]:
    """Creation, name and namespace of the last one of the page before. Raises RefusedError."""
    created, name, namespace = decode_cursor(cursor, 3)
    return created, name, namespace
