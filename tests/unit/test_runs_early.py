"""A run that takes the place of a slot to come, and one that is sent again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import (
    LIVE_CRONJOB,
    MINUTE,
    SLOT,
    finished_run,
    job_body,
    make_observation,
    make_plan,
    make_run,
)

from report_operator.controllers.admission import admission_patch
from report_operator.domain import names
from report_operator.domain.runs.deadlines import StartLimits
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.runs.run import EARLY_LIMIT, NotARunError, observe_job
from report_operator.domain.schedules.decision import EARLY_KEPT, ScheduleLimits, decide
from report_operator.domain.schedules.lateness import oldest_due
from report_operator.domain.times import format_time

LIMITS = ScheduleLimits(
    StartLimits(startup=10 * MINUTE, queue=60 * MINUTE),
    HistoryLimits(succeeded_jobs=0, failed_jobs=0, outcomes=20),
)
HOUR = timedelta(hours=1)


def job(**annotations: str) -> dict[str, Any]:
    given = {f"{names.PREFIX}/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return job_body({"metadata": {"annotations": given}})


def test_a_slot_to_come_is_believed_only_of_a_run_that_takes_its_place() -> None:
    created = observe_job(job()).created_at
    slot = format_time(created + 20 * HOUR)
    assert observe_job(job(slot=slot, instead_of_slot="true")).slot == created + 20 * HOUR
    for word in ("false", ""):
        with pytest.raises(NotARunError, match="lies after its creation"):
            observe_job(job(slot=slot, instead_of_slot=word))
    far = format_time(created + EARLY_LIMIT + MINUTE)
    with pytest.raises(NotARunError, match="lies after its creation"):
        observe_job(job(slot=far, instead_of_slot="true"))


def test_whom_it_is_sent_again_to_is_stamped_on_the_pod() -> None:
    run = observe_job(job(resend='["a@x.org"]'))
    stamps = admission_patch(run, SLOT)["spec"]["template"]["metadata"]["annotations"]
    assert stamps[names.ANNOTATION_RESEND] == '["a@x.org"]'
    assert (
        names.ANNOTATION_RESEND not in admission_patch(make_run(), SLOT)["metadata"]["annotations"]
    )
    with pytest.raises(NotARunError, match="resend"):
        observe_job(job(resend="everyone"))


def test_job_of_a_slot_to_come_stays_until_the_slot_has_come() -> None:
    early = finished_run(created_at=SLOT - 3 * HOUR, finished_at=SLOT - 2 * HOUR, manual=True)
    spec = {"spec": {**LIVE_CRONJOB["spec"], "startingDeadlineSeconds": 7200}}
    held = {**LIVE_CRONJOB, **spec}
    done = {**held, "status": {"lastScheduleTime": format_time(SLOT)}}
    for now, cronjob, goes in (
        (SLOT - HOUR, held, False), (SLOT + MINUTE, held, False), (SLOT + HOUR, held, False),
        (SLOT + 2 * HOUR + EARLY_KEPT, held, True), (SLOT + MINUTE, done, True),
    ):  # fmt: skip
        pruned = decide(make_observation(now, runs=[early], cronjob=cronjob), LIMITS).prune
        assert bool(pruned) == goes, now


def test_slot_whose_place_a_run_has_taken_is_answered_by_it() -> None:
    plan = make_plan(since=SLOT - HOUR)
    early = make_run(created_at=SLOT - HOUR, manual=True)
    assert oldest_due(plan, [early], (), SLOT - MINUTE) is None
    due = oldest_due(plan, [early], (), SLOT + MINUTE)  # it waits still
    assert due is not None
    assert (due.stage, due.run) == ("Queued", early)
    assert oldest_due(plan, [], (SLOT,), SLOT + MINUTE) is None  # it succeeded
