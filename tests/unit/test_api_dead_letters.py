"""Which slots are dead letters, and which of them are tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from admin_api.schemas.dead_letters import RETRY_LIMIT, RetryAll, RetryThese
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services.cache import Snapshot
from admin_api.services.dead_letters import choose
from admin_api.services.job_lists import dead_letters_of
from report_operator.domain.names import job_id

SLOT = datetime(2026, 11, 24, 5, tzinfo=UTC)


def job(number: int = 0, attempt: int = 1, status: JobStatus = JobStatus.FAILED) -> Job:
    slot = SLOT + timedelta(days=number)
    return Job(
        id=job_id("reports", "daily", slot, attempt),
        report_type="dashboard",
        status=status,
        namespace="reports",
        schedule="daily",
        tier="standard",
        job=f"daily-{number}-{attempt}",
        manual=False,
        slot=slot,
        attempt=attempt,
    )


def seen(jobs: list[Job]) -> Snapshot:
    return Snapshot((), (), jobs, dead_letters_of(jobs))


def test_dead_letter_depends_on_the_newest_attempt() -> None:
    failed = job()
    assert dead_letters_of([failed]) == [failed]
    for status in set(JobStatus) - {JobStatus.FAILED}:
        assert dead_letters_of([job(attempt=2, status=status), failed]) == []
        assert dead_letters_of([failed, job(attempt=2, status=status)]) == []
    again = job(attempt=2)
    assert dead_letters_of([again, failed]) == [again]
    assert dead_letters_of(
        [failed, job(attempt=2, status=JobStatus.SUCCEEDED), job(attempt=3)]
    ) == [job(attempt=3)]


def test_success_of_another_slot_does_not_matter() -> None:
    assert dead_letters_of([job(1, status=JobStatus.SUCCEEDED), job(0)]) == [job(0)]


def test_retry_all_selects_the_oldest_up_to_the_limit() -> None:
    jobs = [job(number) for number in reversed(range(RETRY_LIMIT + 7))]
    chosen = choose(RetryAll(all=True), seen(jobs))
    assert [found.slot for found in chosen.jobs] == [
        job(number).slot for number in range(RETRY_LIMIT)
    ]
    assert (chosen.left, list(chosen.refused)) == (7, [])


def test_retry_selects_by_id_and_refuses_unknown_ids() -> None:
    chosen = choose(RetryThese(ids=[job(1).id, "x", job(1).id]), seen([job(1), job(0)]))
    assert chosen.jobs == [job(1)]
    assert [refusal.id for refusal in chosen.refused] == ["x"]
