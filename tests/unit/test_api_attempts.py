"""Retry and generate: one attempt for a request, however often and beside whom it is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from factories import MINUTE, SLOT, make_entry, make_run, schedule_body
from pydantic import ValidationError
from snapshots import snapshot_of

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.dead_letters import RetryThese
from admin_api.schemas.jobs import Job
from admin_api.services.attempts import AttemptService
from admin_api.services.audit import Audit, AuditAction, ObjectReference
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from admin_api.services.dead_letters import retry_dead_letters
from admin_api.services.idempotency import IdempotencyStore
from admin_api.services.jobs import ScheduleSummary, read_schedule
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.resources import Resource
from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.domain.names import attempt_job_name, job_id, job_name
from report_operator.domain.runs.attempts import Attempt
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.problems import recipients_in
from report_runner.contract.reasons import Reason

FAILED = job_id("reports", "daily", SLOT, 1)
SECOND = job_id("reports", "daily", SLOT, 2)


@dataclass
class Server:
    """In place of the API server: a schedule whose run failed, Jobs, and one ConfigMap."""

    conflicts: int = 0  # writes of others that come before ours
    runs: list[Run] = field(default_factory=list)
    recorded: list[tuple[AuditAction, str, str]] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    version: int = 0
    admitted_meanwhile: bool = False
    spec: dict[str, Any] = field(default_factory=dict)
    next_slot: datetime | None = None
    made: list[Attempt] = field(default_factory=list)
    entries: list[RecentRun] = field(default_factory=lambda: [make_entry("1", Reason.TIMEOUT)])

    def service(self) -> AttemptService:
        store = IdempotencyStore(cast(KubeClient, self), "operator", "requests", lambda: SLOT)
        return AttemptService(
            cast(Cluster, self), store, cast(Audit, self), lambda: SLOT + 10 * MINUTE
        )

    async def snapshot(self, *, fresh: Any = ()) -> Snapshot:
        status = ReportScheduleStatus(
            recent_runs=self.entries, next_schedule_time=self.next_slot
        ).to_wire()
        body = {**schedule_body(self.spec), "status": status}
        return snapshot_of([read_schedule(body)], self.runs)

    async def leader(self) -> None:
        """Cluster's also observes what was cleared."""

    async def refresh(self, *_: tuple[str, str]) -> Snapshot:
        return await self.snapshot()

    async def create_attempt(self, schedule: ScheduleSummary, attempt: Attempt, who: str) -> None:
        name = f"daily-{attempt.number}"
        if name not in {run.name for run in self.runs}:
            made = make_run(name=name, uid=name, slot=attempt.slot, attempt=attempt.number,
                            schedule_uid=schedule.uid, priority=attempt.priority.value,
                            resend=attempt.resend)  # fmt: skip
            self.made.append(attempt)
            self.runs.append(made)

    async def release(self, job: object) -> None:
        """No run waits for a business day here."""

    async def recipients_of(self, schedule: ScheduleSummary) -> set[str]:
        return recipients_in(schedule_body(self.spec)["spec"])

    async def set_priority(self, run: Run, priority: Priority) -> None:
        if self.admitted_meanwhile:
            raise ApiError(409, "Conflict", "the object has been modified")
        self.runs = [replace(r, priority=priority.value) if r == run else r for r in self.runs]

    async def record(
        self, action: AuditAction, requested_by: str, target: str, reference: ObjectReference
    ) -> None:
        self.recorded.append((action, requested_by, target))

    async def get(self, _: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        if not self.version:
            return None
        return {"metadata": {"resourceVersion": str(self.version)}, "data": dict(self.data)}

    async def create(self, _: Resource, namespace: str, body: Any) -> dict[str, Any] | None:
        if self._lose() or self.version:
            return None
        self.version, self.data = 1, dict(body["data"])
        return {}

    async def patch(self, _: Resource, namespace: str, name: str, body: Any) -> None:
        if self._lose() or body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "the object has been modified")
        self.version += 1
        self.data |= {key: value for key, value in body["data"].items() if value is not None}

    def _lose(self) -> bool:
        """Whether another request writes first."""
        if not self.conflicts:
            return False
        self.conflicts -= 1
        self.version += 1
        return True


@pytest.mark.parametrize("key", [None, "key", "other"])
async def test_retry_of_a_run_that_was_tried_again_is_its_newer_attempt(key: str | None) -> None:
    server = Server(entries=[make_entry("1", Reason.TIMEOUT),
                             make_entry("2", Reason.TIMEOUT, attempt=2)])  # fmt: skip
    job = await server.service().retry(FAILED, "kim", key)
    assert (job.id, job.status.value, server.runs) == (SECOND, "failed", [])
    both = RetryThese(ids=[FAILED, SECOND])
    found = await retry_dead_letters(server.service(), RetryThese(ids=[FAILED]), "kim")
    assert ([job.id for job in found.jobs], server.runs) == ([SECOND], [])
    _, decision = await server.service().preview_retry(FAILED)
    assert isinstance(decision, Job)
    await retry_dead_letters(server.service(), both, "kim")
    await retry_dead_letters(server.service(), both, "kim")
    assert [run.attempt for run in server.runs] == [3]  # asked for by the newest


@pytest.mark.parametrize("key", [None, "key"])
async def test_repeated_retry_creates_one_attempt(key: str | None) -> None:
    server = Server()
    for _ in range(3):
        assert (await server.service().retry(FAILED, "kim", key)).id == SECOND
    assert [run.attempt for run in server.runs] == [2]
    assert server.recorded[0] == (AuditAction.RETRY, "kim", SECOND)


async def test_key_returns_its_attempt_after_the_job_is_gone() -> None:
    server = Server()
    first = await server.service().retry(FAILED, "kim", "key")
    server.runs.clear()
    assert await server.service().retry(FAILED, "kim", "key") == first
    assert server.runs == []
    with pytest.raises(RefusedError, match="send a new key"):
        await server.service().retry(SECOND, "kim", "key")


async def test_reserved_key_without_a_job_creates_the_reserved_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()

    async def crash(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(Server, "create_attempt", crash)
        with pytest.raises(ConnectionError):
            await server.service().retry(FAILED, "kim", "key")
    assert server.runs == []
    assert (await server.service().retry(FAILED, "kim", "key")).id == SECOND


@pytest.mark.parametrize("conflicts", [1, 9])
async def test_key_is_stored_after_conflicting_writes(conflicts: int) -> None:
    server = Server(conflicts=conflicts)
    assert (await server.service().retry(FAILED, "kim", "key")).id == SECOND
    assert len(server.data) == 1


async def test_endless_conflicts_create_nothing() -> None:
    server = Server(conflicts=100)
    with pytest.raises(RefusedError, match="same key") as raised:
        await server.service().retry(FAILED, "kim", "key")
    assert (raised.value.status, server.runs) == (503, [])


async def test_requests_with_different_keys_share_the_attempt_under_way() -> None:
    server = Server()
    found = await asyncio.gather(
        *(server.service().retry(FAILED, "kim", key) for key in ("a", "b", "c"))
    )
    assert {job.id for job in found} == {SECOND}
    assert len(server.data) == 3


async def test_preview_creates_nothing() -> None:
    server = Server()
    job, decision = await server.service().preview_retry(FAILED)
    assert isinstance(decision, Attempt)
    assert (job.id, decision.number, server.runs) == (FAILED, 2, [])


async def test_generate_continues_the_attempts_of_the_slot() -> None:
    server = Server()
    wanted = GenerateRequest(
        type=schedule_body()["spec"]["reportType"], date=SLOT.date(), priority=Priority.LOW
    )
    for _ in range(2):
        assert (await server.service().generate(wanted, "kim", "key")).attempt == 2
    assert [(action, target) for action, _, target in server.recorded] == [
        (AuditAction.GENERATE, SECOND)
    ]


def wanted(priority: Priority | None = None) -> GenerateRequest:
    return GenerateRequest(
        type=schedule_body()["spec"]["reportType"], date=SLOT.date(), priority=priority
    )


@pytest.mark.parametrize(("spec", "priority"), [({}, "high"), ({"priority": "low"}, "low")])
async def test_generate_takes_the_priority_of_the_schedule(
    spec: dict[str, Any], priority: str
) -> None:
    assert (await Server(spec=spec).service().generate(wanted(), "kim")).priority == priority


async def test_generate_again_raises_the_priority_and_never_lowers_it() -> None:
    server = Server()
    for asked, now in (
        (Priority.LOW, "low"), (None, "low"), (Priority.HIGH, "high"), (Priority.LOW, "high"),
    ):  # fmt: skip
        job = await server.service().generate(wanted(asked), "kim")
        assert (job.id, job.priority) == (SECOND, now)
    raised = [target for action, _, target in server.recorded if action is AuditAction.PRIORITY]
    assert raised == [f"{SECOND} to high"]


async def test_priority_of_a_run_admitted_meanwhile_stays() -> None:
    server = Server(admitted_meanwhile=True)
    await server.service().generate(wanted(Priority.LOW), "kim")
    job = await server.service().generate(wanted(Priority.HIGH), "kim")
    assert (job.id, job.priority) == (SECOND, "low")
    assert all(action is not AuditAction.PRIORITY for action, _, _ in server.recorded)


MAIL = {"delivery": {"email": {"to": ["a@x.org", "b@x.org"]}}}


@pytest.mark.parametrize(
    ("spec", "coming", "said"),
    [
        (MAIL, SLOT + timedelta(hours=1), "still to come, 2026-11-24T06:00:00Z: its run makes the "
         "report again and mails it to its 2 recipients again; ask with `instead_of_slot`"),
        ({"delivery": None}, SLOT + timedelta(hours=1), "makes the report again; ask with"),
        ({"schedule": "0 20 * * *"}, None, "still to come, 2026-11-24T19:00:00Z"),
        (MAIL, SLOT + timedelta(days=1), ""),
        ({**MAIL, "suspend": True}, SLOT + timedelta(hours=1), ""),
    ],
)  # fmt: skip
async def test_generate_warns_of_a_slot_of_the_day_that_is_still_to_come(
    spec: dict[str, Any], coming: datetime | None, said: str
) -> None:
    job = await Server(spec=spec, next_slot=coming).service().generate(wanted(), "kim")
    assert said in " ".join(job.warnings)
    assert bool(job.warnings) == bool(said)


def asked(**fields: Any) -> GenerateRequest:
    kind = schedule_body()["spec"]["reportType"]
    return GenerateRequest.model_validate({"type": kind, "date": f"{SLOT:%Y-%m-%d}", **fields})


@pytest.mark.parametrize(
    ("resend", "text", "words"),
    [("all", "all", "everybody"), (["A@X.org"], '["A@X.org"]', "1 recipient")],
)
@pytest.mark.parametrize("key", [None, "key"])
async def test_report_is_sent_again_to_those_who_are_named(
    resend: Any, text: str, words: str, key: str | None
) -> None:
    server = Server(spec=MAIL)
    for _ in range(2):
        job = await server.service().generate(asked(resend=resend), "kim", key)
        assert job.id == SECOND
    assert [attempt.resend for attempt in server.made] == [text]
    told = f"{SECOND}, sent again to {words}"
    assert server.recorded[0] == (AuditAction.GENERATE, "kim", told)


@pytest.mark.parametrize(
    ("spec", "resend", "said"),
    [
        (MAIL, ["c@x.org", "a@x.org"], "resend: c@x.org is no recipient of reports/daily"),
        ({"delivery": None}, "all", "mails nobody"),
    ],
)
async def test_resend_to_strangers_is_refused(spec: dict[str, Any], resend: Any, said: str) -> None:
    server = Server(spec=spec)
    with pytest.raises(RefusedError, match=said):
        await server.service().generate(asked(resend=resend), "kim")
    assert server.made == []


@pytest.mark.parametrize("resend", ["ALL", [], ["a\nb"], [""], ["x" * 400], ["a"] * 51, 1])
def test_resend_is_all_or_a_list(resend: Any) -> None:
    with pytest.raises(ValidationError):
        asked(resend=resend)


async def test_resend_is_not_lost_on_an_attempt_under_way() -> None:
    server = Server(spec=MAIL)
    await server.service().generate(wanted(), "kim")
    with pytest.raises(RefusedError, match="does not send the report again to everybody"):
        await server.service().generate(asked(resend="all"), "kim")
    assert [attempt.resend for attempt in server.made] == [""]


async def test_retry_goes_on_with_what_its_run_was_to_send_again() -> None:
    failed = make_run(name="daily-2", uid="daily-2", attempt=2, resend="all", suspended=False,
                      finished_at=SLOT, failed_condition="BackoffLimitExceeded")  # fmt: skip
    server = Server(spec=MAIL, runs=[failed])
    await server.service().retry(SECOND, "kim")
    await retry_dead_letters(server.service(), RetryThese(ids=[SECOND]), "kim")
    assert [(attempt.number, attempt.resend) for attempt in server.made] == [(3, "all")]


async def test_generate_warns_that_a_report_that_is_there_is_used_as_it_is() -> None:
    server = Server(entries=[make_entry("1")])
    (warning,) = (await server.service().generate(wanted(), "kim")).warnings
    assert "who has the mail gets no other; `resend` makes it anew" in warning


COMING = SLOT + timedelta(hours=1)


async def test_generate_takes_the_place_of_the_slot_to_come() -> None:
    server = Server(spec=MAIL, next_slot=COMING)
    for _ in range(2):
        job = await server.service().generate(asked(instead_of_slot=True), "kim")
        assert (job.slot, job.attempt, job.warnings) == (COMING, 1, [])
    (attempt,) = server.made
    assert (attempt.slot, attempt.instead_of_slot) == (COMING, True)
    # The name that the CronJob controller would give it.
    assert attempt_job_name("daily", COMING, attempt.number) == job_name("daily", COMING)
    assert server.recorded[0][2].endswith("instead of the slot's own run")


async def test_retry_of_a_run_for_a_slot_to_come_says_so_as_well() -> None:
    early = make_entry("1", Reason.TIMEOUT, slot=COMING)
    server = Server(entries=[early])
    await server.service().retry(job_id("reports", "daily", COMING, 1), "kim")
    assert [(a.number, a.instead_of_slot) for a in server.made] == [(2, True)]


@pytest.mark.parametrize(
    ("spec", "coming", "said"),
    [
        ({"suspend": True}, COMING, "is suspended"),
        ({}, SLOT + timedelta(days=1), "no slot of 2026-11-24 is still to come"),
    ],
)
async def test_no_slot_to_take_the_place_of_is_said(
    spec: dict[str, Any], coming: datetime, said: str
) -> None:
    server = Server(spec=spec, next_slot=coming)
    with pytest.raises(RefusedError, match=said):
        await server.service().generate(asked(instead_of_slot=True), "kim")
    assert server.made == []
