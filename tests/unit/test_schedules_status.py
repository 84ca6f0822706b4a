"""The status of a schedule: conditions, delay, and silence while nothing changes."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from factories import (
    MINUTE,
    SLOT,
    active_run,
    finished_run,
    fresh_status,
    job_body,
    make_entry,
    make_plan,
    make_run,
    observed,
    update_at,
)

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.status import (
    Condition,
    DelayStage,
    LastFailure,
    ReportScheduleStatus,
    ScheduleHealth,
)
from report_operator.domain import names
from report_operator.domain.runs.cause import Cause, PendingReason
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.run import observe_job
from report_operator.domain.runs.vanished import ACTIVE_LIMIT, active_runs
from report_operator.domain.schedules.acknowledgement import read_acknowledgement
from report_operator.domain.schedules.observation import ReadyProblem, RefusedSlot
from report_operator.domain.schedules.transitions import transitions
from report_runner.contract.reasons import Reason

DAY = timedelta(days=1)
QUIET = SLOT - 30 * MINUTE  # before the first slot
BLOCKED = PendingReason(
    Cause(Reason.CONFIGURATION_ERROR, "Secret report-db does not exist"), "report-db"
)
FULL = PendingReason(Cause(Reason.RESOURCE_EXHAUSTED, "no node takes the pod"))


def condition(status: ReportScheduleStatus, kind: ConditionType) -> Condition:
    return next(found for found in status.conditions if found.type is kind)


def history(*entries) -> RunHistory:
    return RunHistory(entries, {})


def status_of(now: datetime, previous: ReportScheduleStatus | None = None, **changes):
    return update_at(now, previous, **changes).status


OK, BAD = make_entry("ok"), make_entry("bad", Reason.DATABASE_UNAVAILABLE)
PENDING = active_run()

# name: now and what is observed, one for each situation that a schedule may be in
SITUATIONS: dict[str, tuple[datetime, dict[str, Any]]] = {
    "new": (QUIET, {}),
    "no CronJob yet": (QUIET, {"plan": None, "cronjob": None}),
    "refused": (
        QUIET,
        {"problem": ReadyProblem(ReadyReason.INVALID_SCHEDULE, "spec.schedule: no")},
    ),
    "due": (SLOT + 29 * MINUTE, {}),
    "never created": (SLOT + 31 * MINUTE, {}),
    "queued": (SLOT + 40 * MINUTE, {"runs": (make_run(),)}),
    "pending": (
        SLOT + 47 * MINUTE + timedelta(microseconds=1),
        {"runs": (observed(PENDING, pending_reason=FULL),)},
    ),
    "secret missing": (
        SLOT + MINUTE,
        {"runs": (observed(PENDING, pending_reason=BLOCKED),)},
    ),
    "retrying": (SLOT + 40 * MINUTE, {"runs": (active_run(failed_pods=2),)}),
    "succeeded": (SLOT + 6 * MINUTE, {"runs": (finished_run("ok"),), "history": history(OK)}),
    "failed": (
        SLOT + 6 * MINUTE,
        {
            "runs": (finished_run("bad", succeeded=False),),
            "history": RunHistory((BAD,), {"DatabaseUnavailable": 1}),
            "handled_through": SLOT,
        },
    ),
    "suspended": (SLOT + DAY, {"plan": make_plan(suspended=True)}),
}
situations = pytest.mark.parametrize("name", SITUATIONS)


@situations
def test_status_does_not_change_while_nothing_observed_does(name: str) -> None:
    """No write and no event, however often it is computed, and at any fraction of a second."""
    now, seen = SITUATIONS[name]
    first = update_at(now, **seen)
    again = update_at(now + timedelta(milliseconds=700), first.status, **seen)
    assert again.status == first.status
    assert transitions(first.status, again.status) == []
    if first.check_at is not None:
        assert first.check_at > now
        later = update_at(first.check_at - timedelta(milliseconds=1), first.status, **seen)
        assert later.status == first.status


@situations
def test_status_comes_back_from_the_api_server_as_it_was(name: str) -> None:
    now, seen = SITUATIONS[name]
    status = update_at(now, **seen).status
    assert parse_status({"status": status.to_wire()}) == status


def test_status_that_cannot_be_read_counts_as_none() -> None:
    assert parse_status({"status": {"active": "many"}}) == fresh_status()
    assert parse_status({}) == fresh_status()
    assert parse_status({"status": {"active": 2, "ofANewerVersion": True}}).active == 2


@pytest.mark.parametrize(
    ("name", "health", "ready", "delayed", "failing"),
    [
        ("new", "Healthy", "Ready", None, None),
        ("no CronJob yet", "Healthy", "Ready", None, None),
        ("refused", "NotReady", "InvalidSchedule", None, None),
        ("due", "Healthy", "Ready", None, None),
        ("never created", "Delayed", "Ready", "NotCreated", None),
        ("queued", "Delayed", "Ready", "Queued", None),
        ("pending", "Delayed", "Ready", "Pending", None),
        ("secret missing", "NotReady", "SecretNotFound", None, None),
        ("retrying", "Delayed", "Ready", "Retrying", None),
        ("succeeded", "Healthy", "Ready", None, None),
        ("failed", "Failing", "Ready", None, "DatabaseUnavailable"),
        ("suspended", "Healthy", "Ready", None, None),
    ],
)
def test_conditions(name, health, ready, delayed, failing) -> None:
    now, seen = SITUATIONS[name]
    status = update_at(now, **seen).status
    assert status.health == health
    more = [] if ready == "Ready" else ["Reconciling" if name == "secret missing" else "Stalled"]
    assert [c.type for c in status.conditions] == ["Ready", "Delayed", "Failing", *more]
    found = {c.type.value: (c.status, c.reason) for c in status.conditions}
    assert found["Ready"] == ("True" if ready == "Ready" else "False", ready)
    assert found["Delayed"] == (("True", delayed) if delayed else ("False", "OnTime"))
    assert found["Failing"][0] == ("True" if failing else "False")
    if failing:
        assert found["Failing"][1] == failing
    assert {c.observed_generation for c in status.conditions} == {3}
    assert status.observed_generation == 3


def test_failing_outweighs_late() -> None:
    now = SLOT + DAY + 31 * MINUTE
    status = status_of(now, history=history(BAD))
    assert status.health is ScheduleHealth.FAILING
    assert condition(status, ConditionType.DELAYED).status == "True"
    assert status.delay is not None


def test_messages_say_what_is_stuck_and_why() -> None:
    def message_of(name: str) -> str:
        now, seen = SITUATIONS[name]
        return condition(update_at(now, **seen).status, ConditionType.DELAYED).message

    assert "2026-11-24T05:00:00Z" in message_of("never created")
    assert "no Job was created" in message_of("never created")
    assert "Job daily-29924940 waits for admission" in message_of("queued")
    now, _ = SITUATIONS["queued"]
    held = observed(make_run(), waits_for="2 of 2 places of tier bulk are taken")
    message = condition(status_of(now, runs=(held,)), ConditionType.DELAYED).message
    assert "Job daily-29924940 waits: 2 of 2 places of tier bulk are taken" in message
    assert "ResourceExhausted: no node takes the pod" in message_of("pending")
    assert "after 2 failed" in message_of("retrying")


def test_pending_reason_of_another_run_is_not_blamed() -> None:
    status = status_of(
        SLOT + 40 * MINUTE,
        runs=(
            make_run(),
            observed(active_run(uid="other", manual=True), pending_reason=FULL),
        ),
    )
    assert "no node" not in condition(status, ConditionType.DELAYED).message


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [(29, None), (30, 1800), (34, 1800), (35, 2100), (61, 3600)],
)
def test_delay_grows_in_steps_of_five_minutes(minutes: int, seconds: int | None) -> None:
    delay = status_of(SLOT + minutes * MINUTE).delay
    assert (delay.seconds if delay else None) == seconds
    if delay:
        assert (delay.since, delay.slot, delay.stage) == (
            SLOT + 30 * MINUTE,
            SLOT,
            DelayStage.NOT_CREATED,
        )
        assert delay.job is None


def test_delay_names_the_job() -> None:
    delay = status_of(SLOT + 31 * MINUTE, runs=(make_run(),)).delay
    assert delay is not None
    assert delay.job == "daily-29924940"


def test_a_finalizer_that_holds_a_job_is_named() -> None:
    body = {"metadata": {"finalizers": ["example.com/backup"]}}
    held = observe_job(job_body({"metadata": {**body["metadata"], "deletionTimestamp": "x"}}))
    assert observe_job(job_body(body)).finalizers == ()  # it holds nothing yet
    found = status_of(SLOT + 31 * MINUTE, runs=(held,))
    message = condition(found, ConditionType.DELAYED).message
    assert "since example.com/backup in its metadata.finalizers holds it" in message
    assert f"kubectl -n reports edit job {held.name}" in message


@pytest.mark.parametrize(
    ("now", "changes", "expected"),
    [
        (QUIET, {}, SLOT),  # the next slot
        (SLOT + MINUTE, {"runs": (make_run(),)}, SLOT + 30 * MINUTE),  # becomes late
        (SLOT + 31 * MINUTE, {"runs": (make_run(),)}, SLOT + 35 * MINUTE),  # the delay's next step
        (SLOT + MINUTE, {}, SLOT + 6 * MINUTE),  # a Job that nobody made is looked for
        (QUIET, {"plan": None}, None),
        (QUIET, {"plan": make_plan(suspended=True)}, None),
    ],
)
def test_when_the_clock_alone_changes_something(now, changes, expected) -> None:
    assert update_at(now, **changes).check_at == expected


def test_transition_times_change_with_the_status_only() -> None:
    late = SLOT + 31 * MINUTE
    before = status_of(QUIET)
    queued = status_of(late, before, runs=(make_run(),))
    pending = status_of(late + 5 * MINUTE, queued, runs=(PENDING,))
    times = [
        condition(status, ConditionType.DELAYED).last_transition_time
        for status in (before, queued, pending)
    ]
    assert times == [QUIET, late, late]
    assert condition(pending, ConditionType.DELAYED).reason == "Pending"
    assert condition(pending, ConditionType.READY).last_transition_time == QUIET


def test_successive_outcomes() -> None:
    first = status_of(SLOT + 6 * MINUTE, history=history(OK))
    assert first.last_success_time == OK.finished_at
    assert first.last_failure is None
    assert first.consecutive_failures == 0

    bad = make_entry("bad", Reason.TIMEOUT, slot=SLOT + DAY, finished_at=SLOT + DAY)
    bad = bad.model_copy(update={"report_date": date(2026, 11, 25)})
    worse = make_entry("worse", Reason.NODE_LOST, slot=SLOT + 2 * DAY, finished_at=SLOT + 2 * DAY)
    now = SLOT + 2 * DAY + MINUTE
    failing = status_of(now, first, history=history(OK, bad, worse))
    assert failing.consecutive_failures == 2
    assert failing.last_failure == LastFailure(
        time=worse.finished_at,
        reason=Reason.NODE_LOST,
        message=worse.message,
        job=worse.job,
        slot=worse.slot,
    )
    assert failing.last_success_time == OK.finished_at
    assert status_of(now, failing, history=history(OK, bad, worse)) == failing

    # Older entries leave the list; what they said stays.
    still = status_of(now, failing, history=history(worse))
    assert (still.consecutive_failures, still.last_success_time) == (2, OK.finished_at)

    well = make_entry("well", slot=SLOT + 3 * DAY, finished_at=SLOT + 3 * DAY)
    healed = status_of(SLOT + 3 * DAY + MINUTE, still, history=history(worse, well))
    assert healed.health is ScheduleHealth.HEALTHY
    assert healed.consecutive_failures == 0
    assert healed.last_failure == failing.last_failure
    only = status_of(SLOT + 3 * DAY + MINUTE, healed, history=history(well))
    assert only.last_failure == failing.last_failure


def test_last_failure_carries_the_report_date() -> None:
    entry = BAD.model_copy(update={"report_date": date(2026, 11, 24)})
    last = status_of(SLOT + 6 * MINUTE, history=history(entry)).last_failure
    assert last is not None
    assert last.report_date == date(2026, 11, 24)


def test_health_and_count_agree_on_runs_that_ended_in_the_same_second() -> None:
    status = status_of(SLOT + 6 * MINUTE, history=history(OK, BAD))
    assert (status.consecutive_failures > 0) == (status.health is ScheduleHealth.FAILING)


def test_manual_success_stands_in_for_a_missed_slot() -> None:
    by_hand = {"manual": True, "slot": SLOT + 60 * MINUTE, "finished_at": SLOT + 65 * MINUTE}
    now = SLOT + 70 * MINUTE
    assert (
        status_of(now, history=history(make_entry("m", **by_hand))).health is ScheduleHealth.HEALTHY
    )
    failed = status_of(now, history=history(make_entry("m", Reason.TIMEOUT, **by_hand)))
    assert condition(failed, ConditionType.DELAYED).status == "True"


def test_last_schedule_time_is_of_slots_alone_and_never_goes_back() -> None:
    runs = (finished_run(slot=SLOT), make_run(uid="m", manual=True, slot=SLOT + 60 * MINUTE))
    now = SLOT + 61 * MINUTE
    first = status_of(now, runs=runs, history=history(make_entry("job-1")))
    assert first.last_schedule_time == SLOT
    # The Job and its outcome are long gone; its slot is not owed again.
    later = status_of(SLOT + 10 * 60 * MINUTE, first)
    assert later.last_schedule_time == SLOT
    assert later.health is ScheduleHealth.HEALTHY


@pytest.mark.parametrize(
    ("now", "changes", "upcoming", "next_due"),
    [
        (QUIET, {}, SLOT, SLOT),
        (SLOT + MINUTE, {"runs": (make_run(),)}, SLOT + DAY, SLOT),
        (SLOT + MINUTE, {}, SLOT + DAY, SLOT),
        (SLOT + MINUTE, {"runs": (finished_run(),)}, SLOT + DAY, SLOT + DAY),
        (QUIET, {"plan": make_plan(suspended=True)}, None, None),
        (QUIET, {"plan": None}, None, None),
    ],
)
def test_next_slot_and_next_due(now, changes, upcoming, next_due) -> None:
    update = update_at(now, **changes)
    assert update.status.next_schedule_time == upcoming
    assert update.next_due == next_due


def test_counts_and_names() -> None:
    runs = (
        make_run(uid="a"),
        make_run(uid="b"),
        active_run(uid="c"),
        finished_run("d"),
        active_run(uid="e", manual=True),
    )
    status = status_of(SLOT, runs=runs, history=RunHistory((OK,), {"Succeeded": 41}))
    assert (status.queued, status.active) == (2, 2)
    assert (status.cron_job, status.definition) == ("daily", "daily-0123456789")
    assert status.run_counts == {"Succeeded": 41}
    assert status.recent_runs == [OK]
    assert status.schedule_since == SLOT - 60 * MINUTE


def test_start_of_counting_is_remembered_while_there_is_no_cronjob() -> None:
    first = status_of(QUIET)
    assert status_of(QUIET, first, plan=None).schedule_since == SLOT - 60 * MINUTE


@pytest.mark.parametrize("reason", [None, Reason.TIMEOUT])
def test_a_backfills_outcomes_leave_the_health_alone(reason: Reason | None) -> None:
    for last in (None, Reason.DATABASE_UNAVAILABLE):
        own = make_entry("own", last)
        before = status_of(QUIET, history=history(own))
        others = tuple(
            make_entry(f"b{n}", reason, slot=SLOT - (9 - n) * DAY, manual=True, backfill="march",
                       finished_at=SLOT + (9 + n) * MINUTE)
            for n in range(4)
        )  # fmt: skip
        after = status_of(QUIET, before, history=history(own, *others))
        assert after == before.model_copy(update={"recent_runs": [own, *others]})


def test_a_backfills_runs_are_never_late() -> None:
    run = make_run(manual=True, backfill="march", slot=SLOT - 30 * DAY)
    assert update_at(QUIET, runs=[run]).status.delay is None


def test_what_keeps_a_run_from_starting_is_told_before_it_is_late() -> None:
    run = active_run(admitted_at=SLOT + timedelta(seconds=2))
    status = status_of(SLOT + MINUTE, runs=(observed(run, pending_reason=FULL),))
    assert status.delay is None
    assert status.pending is not None
    assert status.pending.to_wire() == {
        "slot": "2026-11-24T05:00:00Z",
        "job": run.name,
        "since": "2026-11-24T05:00:02Z",
        "reason": "ResourceExhausted",
        "message": "no node takes the pod",
    }


@pytest.mark.parametrize("catch_up", [False, True])
def test_a_slot_whose_job_was_refused_says_so(catch_up: bool) -> None:
    cause = Cause(Reason.QUOTA_EXCEEDED, "its Job could not be made: exceeded quota: q")
    refused = RefusedSlot(SLOT, cause, catch_up)
    early = status_of(SLOT + MINUTE, refused=refused)
    assert early.pending is not None
    assert (early.pending.job, early.pending.reason) == (None, Reason.QUOTA_EXCEEDED)
    late = status_of(SLOT + 31 * MINUTE, early, refused=refused)
    told = condition(late, ConditionType.DELAYED)
    assert (told.status, told.reason) == ("True", "NotCreated")
    assert told.message == (
        "slot 2026-11-24T05:00:00Z has no Job: QuotaExceeded: its Job could not be made: exceeded "
        "quota: q"
    )
    assert status_of(SLOT + 32 * MINUTE, late).pending is None


def test_waiting_run_says_that_it_uses_an_older_definition() -> None:
    def delayed(definition: str) -> str:
        status = status_of(SLOT + 40 * MINUTE, runs=(make_run(definition=definition),))
        return condition(status, ConditionType.DELAYED).message

    assert "uses the definition of then" in delayed("daily-9999999999")
    assert "definition" not in delayed("daily-0123456789")


def test_acknowledgement_of_an_instant_to_come_never_counts() -> None:
    key = names.ANNOTATION_ACKNOWLEDGED
    meta = {"annotations": {key: "2026-11-24T23:00:00Z"}}
    before = read_acknowledgement(meta, fresh_status(), SLOT)
    assert before.through is None
    status = fresh_status().model_copy(update={"ignored_acknowledgement": before.ignored})
    assert read_acknowledgement(meta, status, SLOT + DAY) == before
    meta["annotations"][key] = "2026-11-24T05:00:00Z"
    assert read_acknowledgement(meta, status, SLOT + DAY).through == SLOT
    for text in ("soon", "", "2026-11-24"):
        assert read_acknowledgement({"annotations": {key: text}}, status, SLOT).through is None


def test_run_by_hand_does_not_move_the_beat_of_every() -> None:
    plan = make_plan("@every 1h", since=SLOT)
    by_hand = make_entry("m", manual=True, slot=SLOT + 83 * MINUTE, finished_at=SLOT + 85 * MINUTE)
    previous = fresh_status().model_copy(update={"last_schedule_time": SLOT + 60 * MINUTE})
    status = status_of(SLOT + 90 * MINUTE, previous, plan=plan, history=history(by_hand))
    assert status.next_schedule_time == SLOT + 120 * MINUTE


def test_run_without_a_job_is_remembered_before_those_with_one() -> None:
    many = tuple(make_run(uid=str(n), slot=SLOT + n * MINUTE) for n in range(150))
    (gone,) = active_runs([make_run(uid="gone", slot=SLOT + 200 * MINUTE)])
    for kind in ("awaited", "missing"):  # a history without room takes no outcome
        status = status_of(SLOT + 210 * MINUTE, runs=many, **{kind: [gone]})
        assert "gone" in {entry.uid for entry in status.active_runs}
        assert len(status.active_runs) == ACTIVE_LIMIT
