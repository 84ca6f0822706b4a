"""What the admin API sees, of schedules and runs that a test makes."""

from __future__ import annotations

from collections.abc import Sequence

from admin_api.services.cache import Snapshot
from admin_api.services.job_lists import dead_letters_of, newest_first
from admin_api.services.jobs import ScheduleSummary, jobs_of
from report_operator.domain.runs.run import Run


def snapshot_of(schedules: Sequence[ScheduleSummary], runs: Sequence[Run]) -> Snapshot:
    """A snapshot of just these."""
    jobs = newest_first(
        job
        for schedule in schedules
        for job in jobs_of(schedule, (run for run in runs if run.schedule_uid == schedule.uid))
    )
    return Snapshot(schedules, runs, jobs, dead_letters_of(jobs))
