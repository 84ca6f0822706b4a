"""Every field of a run survives the way from its Job over status and history to the API."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from factories import job_body, merged
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_api.services.jobs import job_of_record, jobs_of, read_schedule
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain import names
from report_operator.domain.runs.identity import RunIdentity, identity_of_entry
from report_operator.domain.runs.outcomes import record_finished
from report_operator.domain.runs.record import Owner, record_of
from report_operator.domain.runs.run import Run, observe_job
from report_operator.domain.times import format_time

NOT_TOLD = {"schedule_uid", "job_uid", "backfill_uid"}  # uids are the cluster's own

instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
words = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)


@st.composite
def finished_jobs(draw: st.DrawFn) -> Run:
    """A finished Job of any origin: scheduled, by hand, a retry, a backfill."""
    created = draw(instants)
    admitted = created + timedelta(seconds=draw(st.integers(0, 10_000)))
    ended = admitted + timedelta(seconds=draw(st.integers(0, 10_000)))
    backfill = draw(st.booleans())
    asked = backfill or draw(st.booleans())
    slot = created - timedelta(seconds=draw(st.integers(0, 1_000_000)))
    annotations: dict[str, Any] = {
        names.ANNOTATION_SLOT: format_time(slot),
        names.ANNOTATION_REPORT_DATE: draw(st.dates()).isoformat(),
        names.ANNOTATION_PRIORITY: draw(st.sampled_from(["high", "normal", "low"])),
        names.ANNOTATION_ATTEMPT: str(draw(st.integers(1, 500))),
        names.ANNOTATION_ADMITTED_AT: format_time(admitted),
        names.ANNOTATION_DEFINITION: draw(words),
        names.ANNOTATION_REQUESTED_BY: draw(words) if asked else None,
        names.ANNOTATION_PARAMETERS: draw(st.sampled_from([None, '{"top":"5"}'])),
        names.ANNOTATION_RESEND: draw(st.sampled_from([None, "all"])),
        names.ANNOTATION_BACKFILL: draw(words) if backfill else None,
        names.ANNOTATION_CRONJOB_SLOT: None if asked else format_time(slot),
    }
    body = merged(
        job_body(),
        {
            "metadata": {
                "name": draw(words),
                "uid": draw(words),
                "creationTimestamp": format_time(created),
                "labels": {
                    names.LABEL_TIER: draw(st.sampled_from(["critical", "standard", "bulk"])),
                    names.LABEL_BACKFILL_UID: draw(words) if backfill else None,
                },
                "annotations": annotations,
            },
            "spec": {"suspend": False},
            "status": {
                "conditions": [
                    {
                        "type": "Complete",
                        "status": "True",
                        "lastTransitionTime": format_time(ended),
                    }
                ]
            },
        },
    )
    for part in (body["metadata"]["annotations"], body["metadata"]["labels"]):
        for name in [name for name, value in part.items() if value is None]:
            del part[name]
    return observe_job(body)


def told(job: Any) -> dict[str, Any]:
    """What the API says of a run's identity."""
    shared = {field.name for field in fields(RunIdentity)} - NOT_TOLD
    return {name: getattr(job, name) for name in shared}


@given(finished_jobs(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_run_is_the_same_everywhere(run: Run, job_is_there: bool) -> None:
    identity = run.identity
    owner = Owner(run.namespace, run.schedule, run.schedule_uid, "dashboard", "of-another-tier")
    entry = RecentRun.model_validate(record_finished(run, ()).to_wire())
    assert identity_of_entry(owner.namespace, owner.name, owner.uid, owner.tier, entry) == identity
    record = record_of(owner, entry, run if job_is_there else None, ())
    assert record.identity == identity
    body: dict[str, Any] = {
        "metadata": {"namespace": owner.namespace, "name": owner.name, "uid": owner.uid},
        "spec": {"reportType": "dashboard", "tier": owner.tier, "schedule": "0 6 * * *"},
    }
    (live,) = jobs_of(read_schedule(body), [run])
    body["status"] = {"recentRuns": [entry.to_wire()]}
    (ended,) = jobs_of(read_schedule(body), [])
    for job in (live, ended, job_of_record(record)):
        assert job.id == identity.id
        assert told(job) == {name: getattr(identity, name) for name in told(job)}
