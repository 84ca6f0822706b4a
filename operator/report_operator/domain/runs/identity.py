"""Which run it is: the same in its Job, in status, in history, in the API and in Redis.

Each outer shape has one converter here or beside its model; a property test holds that every field
survives the way from the Job to the API, with the Job there and with it gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.names import job_id


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """One run of a ReportSchedule. Instants are aware, UTC; None is what a run does not have."""

    namespace: str
    schedule: str
    schedule_uid: str
    job: str  # name and uid of its Kubernetes Job
    job_uid: str
    slot: datetime
    attempt: int
    report_date: date | None  # stamped at admission
    tier: str
    priority: str | None
    manual: bool
    requested_by: str | None
    backfill: str | None  # name and uid of its ReportBackfill
    backfill_uid: str | None
    definition: str | None
    # Asked for with parameters of its own, or sent again to who had it; None of older versions.
    overridden: bool | None
    created_at: datetime | None
    admitted_at: datetime | None

    @property
    def id(self) -> str:
        """Its name in the API, in Redis and for on-call."""
        return job_id(self.namespace, self.schedule, self.slot, self.attempt)


def entry_fields(identity: RunIdentity) -> dict[str, Any]:
    """The identity's fields of an entry of status.recentRuns; the schedule is the object's own."""
    return {
        "job": identity.job,
        "uid": identity.job_uid,
        "slot": identity.slot,
        "attempt": identity.attempt,
        "report_date": identity.report_date,
        "tier": identity.tier,
        "priority": identity.priority,
        "manual": identity.manual,
        "requested_by": identity.requested_by,
        "backfill": identity.backfill,
        "backfill_uid": identity.backfill_uid,
        "definition": identity.definition,
        "overridden": identity.overridden,
        "created_at": identity.created_at,
        "admitted_at": identity.admitted_at,
    }


def identity_of_entry(
    namespace: str, schedule: str, schedule_uid: str, tier: str, entry: RecentRun
) -> RunIdentity:
    """From status; `tier` is the schedule's, for entries of versions that did not store it."""
    return RunIdentity(
        namespace=namespace,
        schedule=schedule,
        schedule_uid=schedule_uid,
        job=entry.job,
        job_uid=entry.uid,
        slot=entry.slot,
        attempt=entry.attempt,
        report_date=entry.report_date,
        tier=entry.tier or tier,
        priority=entry.priority,
        manual=entry.manual,
        requested_by=entry.requested_by,
        backfill=entry.backfill,
        backfill_uid=entry.backfill_uid,
        definition=entry.definition,
        overridden=entry.overridden,
        created_at=entry.created_at,
        admitted_at=entry.admitted_at,
    )
