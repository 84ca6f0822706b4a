"""Schedules in the admin API: filters, order, pages, and why readers have no report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from factories import MINUTE, SLOT, make_entry, make_run, schedule_body
from snapshots import snapshot_of
from test_api_access import STRANGER, KnownTokens

from admin_api.app import make_app
from admin_api.auth.tokens import Tokens
from admin_api.errors import RefusedError
from admin_api.services.acknowledgement import acknowledge
from admin_api.services.attempts import AttemptService
from admin_api.services.audit import Audit
from admin_api.services.backends import Backends
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster, Leader
from admin_api.services.explain import explain
from admin_api.services.jobs import ScheduleSummary, read_schedule
from report_operator.adapters.kube.client import ApiError
from report_operator.api.v1alpha1.conditions import ConditionType
from report_operator.api.v1alpha1.status import (
    ActiveRun,
    Condition,
    Delay,
    DelayStage,
    LastFailure,
    MissedSlots,
    PendingRun,
    RecentRun,
    ReportScheduleStatus,
    ScheduleHealth,
)
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.runs.run import Run
from report_runner.contract.reasons import Reason
from tests.support.asgi import ask

SCHEDULES = "/api/admin/schedules"
DAY = timedelta(days=1)


def condition(kind: ConditionType, *, holds: bool, reason: str, message: str = "m") -> Condition:
    return Condition(
        type=kind, status="True" if holds else "False", reason=reason, message=message,
        last_transition_time=SLOT,
    )  # fmt: skip


def summary(
    name: str, namespace: str = "reports", spec: Any = None, **status: Any
) -> ScheduleSummary:
    body = schedule_body(spec or {}, name=name, namespace=namespace, uid=f"uid-{namespace}-{name}")
    return read_schedule({**body, "status": ReportScheduleStatus(**status).to_wire()})


def failing(name: str, entry: RecentRun, at: datetime = SLOT, **more: Any) -> ScheduleSummary:
    reason = entry.reason
    assert reason is not None
    return summary(
        name,
        health=ScheduleHealth.FAILING,
        conditions=[
            condition(ConditionType.READY, holds=True, reason="Ready"),
            condition(
                ConditionType.FAILING, holds=True, reason=reason.value,
                message=f"slot 2026-11-24T05:00:00Z, Job {entry.job}: {entry.message}",
            ),
        ],
        last_failure=LastFailure(
            time=at, reason=reason, message=entry.message, job=entry.job, slot=entry.slot
        ),
        recent_runs=[entry],
        consecutive_failures=3,
        last_success_time=SLOT - DAY,
        **more,
    )  # fmt: skip


@dataclass
class Site:
    """The API over these schedules and runs."""

    schedules: Sequence[ScheduleSummary]
    runs: Sequence[Run] = ()
    tokens: Any = None
    silent: float = 1.0  # seconds without a word of the operator

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        return snapshot_of(self.schedules, self.runs)

    async def leader(self) -> Leader:
        return Leader("a", "u", SLOT, SLOT, 15, self.silent, stopping=False)

    def ask(self, path: str, **more: str) -> tuple[int, Any]:
        attempts = AttemptService(
            cast(Cluster, self), cast(Any, None), cast(Any, None), lambda: SLOT + 10 * MINUTE
        )
        app = make_app(
            attempts, cast(Backends, self), cast(Any, None), cast(Any, None),
            cast(Tokens, self.tokens), limits=AdmissionLimits(overall=1), start_grace=MINUTE,
        )  # fmt: skip
        reply = ask(app, "GET", path, accept="application/json", **more)
        return reply.status, json.loads(reply.text)

    def names(self, query: str) -> list[str]:
        status, body = self.ask(f"{SCHEDULES}?{query}")
        assert status == 200, body
        return [schedule["name"] for schedule in body["schedules"]]

    def why(self, name: str, **more: str) -> Any:
        status, body = self.ask(f"{SCHEDULES}/reports/{name}", **more)
        assert status == 200, body
        return body


BROKEN = make_entry("1", Reason.DATABASE_UNAVAILABLE)
READY = condition(ConditionType.READY, holds=True, reason="Ready")
SITE = Site(
    [
        summary("calm", health=ScheduleHealth.HEALTHY, conditions=[READY], last_success_time=SLOT,
                next_schedule_time=SLOT + DAY),
        summary("bulky", namespace="other", spec={"tier": "bulk", "reportType": "big"},
                health=ScheduleHealth.HEALTHY, next_schedule_time=SLOT + MINUTE),
        failing("bad", BROKEN),
        failing("worse", BROKEN, at=SLOT + MINUTE),
        summary("wrong", health=ScheduleHealth.NOT_READY,
                conditions=[
                    condition(ConditionType.READY, holds=False, reason="TemplateNotFound")
                ]),
        summary("slow", health=ScheduleHealth.DELAYED, last_success_time=SLOT - DAY,
                delay=Delay(since=SLOT, seconds=0, stage=DelayStage.QUEUED, slot=SLOT)),
        summary("unseen"),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["bulky", "bad", "calm", "slow", "unseen", "worse", "wrong"]),
        ("namespace=other", ["bulky"]),
        ("tier=bulk", ["bulky"]),
        ("report_type=big", ["bulky"]),
        ("name=bad", ["bad"]),
        ("health=Failing", ["bad", "worse"]),
        ("ready=true", ["bad", "calm", "worse"]),
        ("ready=false", ["bulky", "slow", "unseen", "wrong"]),
        ("suspended=true", []),
        ("sort=health", ["bad", "worse", "wrong", "slow", "unseen", "bulky", "calm"]),
        ("sort=last_failure&limit=2", ["worse", "bad"]),
        ("sort=delay&limit=1", ["slow"]),
        ("sort=next_slot&limit=2", ["bulky", "calm"]),
        ("sort=last_success&health=Healthy", ["bulky", "calm"]),
    ],
)
def test_filters_and_order(query: str, names: list[str]) -> None:
    assert SITE.names(query) == names


@pytest.mark.parametrize("sort", ["name", "health", "last_failure", "delay", "next_slot"])
def test_pages_hold_each_schedule_once(sort: str) -> None:
    found, cursor = [], ""
    while True:
        _, body = SITE.ask(f"{SCHEDULES}?sort={sort}&limit=2{cursor}")
        assert body["total"] == len(SITE.schedules)
        found += [schedule["name"] for schedule in body["schedules"]]
        if body["next"] is None:
            break
        cursor = f"&cursor={body['next']}"
    assert found == SITE.names(f"sort={sort}")


def test_cursor_of_another_order_is_refused() -> None:
    _, body = SITE.ask(f"{SCHEDULES}?sort=name&limit=1")
    status, problem = SITE.ask(f"{SCHEDULES}?sort=health&cursor={body['next']}")
    assert (status, "sort=name" in problem["detail"]) == (422, True)
    assert SITE.ask(f"{SCHEDULES}?cursor=x")[0] == 422


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{SCHEDULES}?report_type=bigg", "the type bigg; known types: big, executive_dashboard"),
        (f"{SCHEDULES}?namespace=nowhere", "known namespaces: other, reports"),
        (f"{SCHEDULES}?tier=gold", "known tiers: bulk, critical"),
        (f"{SCHEDULES}?name=nobody", "known names: bad, bulky"),
        (f"{SCHEDULES}/other/bad", "the name bad; known names: bulky"),
        (f"{SCHEDULES}/nowhere/bad", "known namespaces: other, reports"),
        ("/api/admin/scheduler/jobs?report_type=bigg", "known types: big, executive_dashboard"),
        ("/api/admin/scheduler/jobs?schedule=nobody", "known names: bad, bulky"),
        ("/api/admin/scheduler/jobs?namespace=nowhere", "known namespaces: other, reports"),
    ],
)
def test_unknown_name_is_an_error_that_says_what_exists(path: str, said: str) -> None:
    status, body = SITE.ask(path)
    assert status == 404
    assert said in body["detail"]


def test_jobs_of_one_schedule() -> None:
    _, body = SITE.ask("/api/admin/scheduler/jobs?schedule=bad&namespace=reports")
    assert [job["schedule"] for job in body["jobs"]] == ["bad"]
    assert SITE.ask("/api/admin/scheduler/jobs?schedule=calm")[1]["jobs"] == []


def test_jobs_under_way_are_ordered_by_creation() -> None:
    """A run for an older date that was made just now is the newest."""
    old = make_run(schedule="calm", schedule_uid="uid-reports-calm", owner_uid="c", manual=True,
                   slot=SLOT - 400 * DAY, created_at=SLOT + 9 * MINUTE)  # fmt: skip
    _, body = Site(SITE.schedules, [old]).ask("/api/admin/scheduler/jobs?limit=1")
    assert body["jobs"][0]["schedule"] == "calm"


def test_explanation_of_a_failure() -> None:
    body = SITE.why("bad")
    (problem,) = body["problems"]
    retry = "report-scheduler retry reports.bad.20261124T050000Z.1"
    assert (problem["kind"], problem["since"], problem["command"]) == (
        "failing", "2026-11-24T05:00:00Z", retry
    )  # fmt: skip
    text = body["explanation"]
    for part in ("reports/bad", "since 2026-11-24T05:00:00Z", "DatabaseUnavailable", "no route to",
                 "3 runs failed in a row", "last report was made 2026-11-23", retry):  # fmt: skip
        assert part in text, text
    assert "](#" not in text
    assert body["failing_slot"] == "2026-11-24T05:00:00Z"
    assert SITE.why("calm")["failing_slot"] is None


def test_explanation_names_the_failure_that_stands_and_not_the_newest_failed_run() -> None:
    """A run by hand for an older date failed later: it says nothing of today's slot."""
    older = make_entry("2", Reason.TIMEOUT, slot=SLOT - 400 * DAY, manual=True,
                       finished_at=SLOT + 9 * MINUTE)  # fmt: skip
    known = failing("bad", BROKEN)
    body = schedule_body({}, name="bad", uid=known.uid)
    status = known.status.model_copy(
        update={
            "recent_runs": [BROKEN, older],
            "last_failure": LastFailure(time=older.finished_at, reason=Reason.TIMEOUT, message="",
                                        job=older.job, slot=older.slot),
        }
    )  # fmt: skip
    told = Site([read_schedule({**body, "status": status.to_wire()})]).why("bad")
    (problem,) = told["problems"]
    assert problem["command"].endswith("retry reports.bad.20261124T050000Z.1")
    assert "Timeout" not in told["explanation"]


def test_what_a_retry_does_not_mend_is_looked_at() -> None:
    wrong = make_entry("1", Reason.CONFIGURATION_ERROR)
    told = Site([failing("bad", wrong)]).why("bad")
    assert told["problems"][0]["command"] == ("report-scheduler job reports.bad.20261124T050000Z.1")


def test_attempt_under_way_is_what_to_look_at() -> None:
    again = ActiveRun(job="bad-2", uid="2", slot=SLOT, attempt=2, manual=True)
    told = Site([failing("bad", BROKEN, active_runs=[again])]).why("bad")
    assert told["problems"][0]["command"] == ("report-scheduler job reports.bad.20261124T050000Z.2")


def test_explanations_of_other_states() -> None:
    assert (
        "healthy: nothing is late, and no failure stands. Readers"
        in SITE.why("calm")["explanation"]
    )
    assert "the next slot is 2026-11-25T05:00:00Z" in SITE.why("calm")["explanation"]
    assert "was not seen by the operator yet" in SITE.why("unseen")["explanation"]
    wrong = SITE.why("wrong")["explanation"]
    assert "not ready since 2026-11-24T05:00:00Z: TemplateNotFound" in wrong
    assert "Next: kubectl -n reports describe reportschedule wrong" in wrong
    slow = SITE.why("slow")["explanation"]
    assert "late since 2026-11-24T05:00:00Z: Queued" in slow
    assert "Next: report-scheduler queue" in slow


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.REPLACED])
def test_each_reason_has_cause_since_when_who_and_what_now(reason: Reason) -> None:
    """On-call's first screen, whatever failed."""
    blamed = failing("daily", make_entry("bad", reason, message="the very cause"))
    text = explain(blamed, []).explanation
    assert f"failing since 2026-11-24T05:00:00Z: {reason.value}: " in text
    assert "the very cause" in text
    assert "Affected: " in text
    command = text.rpartition("Next: ")[2]
    assert command.startswith(("report-scheduler ", "kubectl "))
    assert "NAME" not in text


def test_run_that_does_not_start_is_explained_before_its_slot_is_late() -> None:
    pending = PendingRun(
        slot=SLOT, job="daily-1", since=SLOT, reason=Reason.QUOTA_EXCEEDED, message="exceeded quota"
    )
    blocked = summary("daily", health=ScheduleHealth.HEALTHY, pending=pending)
    found = explain(blocked, [])
    assert (
        "not starting since 2026-11-24T05:00:00Z: QuotaExceeded: slot 2026-11-24T05:00:00Z, "
        "Job daily-1: exceeded quota" in found.explanation
    )
    assert "Next: kubectl -n reports describe pod -l job-name=daily-1" in found.explanation


def test_status_that_nobody_keeps_is_marked() -> None:
    site = Site(SITE.schedules, silent=600.0)
    assert site.why("calm")["explanation"].startswith("Careful: no operator leads just now")
    assert "no operator leads" in site.ask(SCHEDULES)[1]["degraded"][0]
    assert SITE.ask(SCHEDULES)[1]["degraded"] == []


def test_acknowledged_failure_is_named_where_the_schedule_is_healthy() -> None:
    failure = LastFailure(time=SLOT, reason=Reason.TIMEOUT, message="", job="x", slot=SLOT)
    told = Site([summary("m", health=ScheduleHealth.HEALTHY, last_failure=failure,
                         acknowledged_through=SLOT)]).why("m")  # fmt: skip
    assert "slots up to 2026-11-24T05:00:00Z need no report" in told["explanation"]


def test_missed_slots_and_suspension_are_named_though_nothing_fails() -> None:
    missed = MissedSlots(count=2, first=SLOT - DAY, last=SLOT, at=SLOT)
    site = Site(
        [
            summary("m", spec={"suspend": True}, health=ScheduleHealth.HEALTHY, missed_slots=2,
                    last_missed=missed),
            summary("past", health=ScheduleHealth.HEALTHY, missed_slots=2, last_missed=missed,
                    last_success_time=SLOT + MINUTE),
        ]
    )  # fmt: skip
    told = site.why("m")
    assert [problem["kind"] for problem in told["problems"]] == ["missed", "suspended"]
    assert "report-scheduler backfill 2026-11-23 2026-11-24" in told["explanation"]
    assert "no report was ever made" in told["affected"]
    assert site.why("past")["problems"] == []


def test_recipients_are_counted_once() -> None:
    email = {"to": ["a@x.org", "b@x.org"], "cc": ["a@x.org"], "bcc": ["c@x.org"]}
    told = Site([summary("m", spec={"delivery": {"email": email}})]).why("m")
    assert told["recipients"] == 3
    odd = Site([summary("m", spec={"delivery": {"email": "x"}, "priority": "odd"})]).why("m")
    assert (odd["recipients"], odd["priority"]) == (0, "normal")


def test_messages_need_a_right_in_the_namespace() -> None:
    token = {"authorization": "Bearer x", "client": STRANGER}
    site = Site(SITE.schedules, tokens=KnownTokens("other"))
    told = site.why("bad", **token)
    assert "no route to" not in json.dumps(told)
    assert told["last_failure"]["reason"] == "DatabaseUnavailable"
    assert "reports" in told["not_shown"]
    _, listed = site.ask(f"{SCHEDULES}?health=Failing", **token)
    assert "no route to" not in json.dumps(listed)
    assert "no route to" in json.dumps(Site(SITE.schedules, tokens=KnownTokens("reports")).why(
        "bad", **token))  # fmt: skip


@dataclass
class Writable(Site):
    """It also takes acknowledgements; `error` is what the API server answers."""

    error: ApiError | None = None
    written: list[datetime] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)

    async def refresh(self, *_: tuple[str, str]) -> Snapshot:
        return await self.snapshot()

    async def acknowledge(self, _: ScheduleSummary, through: datetime) -> None:
        if self.error is not None:
            raise self.error
        self.written.append(through)

    async def record(self, *told: Any) -> None:
        self.recorded.append(f"{told[0]} {told[1]} {told[2]}")

    async def say(self, name: str, through: datetime) -> datetime:
        return await acknowledge(
            cast(Cluster, self), cast(Audit, self), ("reports", name), through, "kim"
        )


async def test_failure_that_stands_is_acknowledged_and_recorded() -> None:
    site = Writable(SITE.schedules)
    assert await site.say("bad", SLOT) == SLOT
    assert site.written == [SLOT]
    assert site.recorded == ["FailureAcknowledged kim reports/bad through 2026-11-24T05:00:00Z"]


@pytest.mark.parametrize(
    ("name", "through", "said"),
    [
        ("calm", SLOT, "no failure stands"),
        ("slow", SLOT, "no failure stands"),
        ("bad", SLOT - DAY, "is of slot 2026-11-24T05:00:00Z"),
        ("bad", SLOT + DAY, "is of slot 2026-11-24T05:00:00Z"),  # failures that nobody has seen
        ("nobody", SLOT, "known names"),
    ],
)
async def test_acknowledgement_of_anything_else_is_refused(
    name: str, through: datetime, said: str
) -> None:
    site = Writable(SITE.schedules)
    with pytest.raises(RefusedError, match=said):
        await site.say(name, through)
    assert (site.written, site.recorded) == ([], [])


async def test_repeated_acknowledgement_is_said_once() -> None:
    done = summary("done", health=ScheduleHealth.HEALTHY, acknowledged_through=SLOT)
    site = Writable([done])
    assert await site.say("done", SLOT) == SLOT
    assert (site.written, site.recorded) == ([], [])


async def test_refused_acknowledgement_names_the_command() -> None:
    site = Writable(SITE.schedules, error=ApiError(403, "Forbidden", "no"))
    with pytest.raises(RefusedError, match=r"kubectl -n reports annotate reportschedule bad") as e:
        await site.say("bad", SLOT)
    assert (e.value.status, site.recorded) == (403, [])
