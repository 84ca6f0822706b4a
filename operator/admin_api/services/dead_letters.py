"""Further attempts for dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from admin_api.errors import RefusedError, refused_by_cluster
from admin_api.schemas.dead_letters import RETRY_LIMIT, Refusal, Retried, RetryAll, RetryThese
from admin_api.schemas.jobs import Job
from admin_api.services import attempt_rules
from admin_api.services.attempts import AttemptService, known_schedule
from admin_api.services.audit import AuditAction
from admin_api.services.cache import Snapshot
from admin_api.services.job_lists import find_job
from report_operator.adapters.kube.client import ApiError
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain.names import schedule_of_job_id


@dataclass(frozen=True, slots=True)
class RetrySelection:
    """The runs to retry; `left` counts dead letters beyond RETRY_LIMIT."""

    jobs: Sequence[Job]
    refused: Sequence[Refusal]
    left: int


async def retry_dead_letters(
    attempts: AttemptService, wanted: RetryThese | RetryAll, requested_by: str
) -> Retried:
    """A further attempt for each, or the reason why not. Raises what Cluster raises."""
    await attempts.cluster.leader()  # reads the Lease, and with it what was cleared a moment ago
    names = schedules_of(wanted, await attempts.cluster.snapshot())
    snapshot = await attempts.cluster.refresh(*names)
    selection = choose(wanted, snapshot)
    refused = list(selection.refused)
    made: set[str] = set()
    for job in selection.jobs:
        try:
            decision = attempt_rules.decide_retry(
                job,
                snapshot.of_schedule(job.namespace, job.schedule),
                Priority.NORMAL,
                snapshot.runs,
            )
            schedule = known_schedule(snapshot, job.namespace, job.schedule)
            made.add(await attempts.make(schedule, decision, AuditAction.RETRY, requested_by))
        except (RefusedError, ApiError) as error:
            known = refused_by_cluster(error) or error
            refused.append(Refusal(id=job.id, reason=known.message))
    jobs = [job for job in (await attempts.cluster.refresh(*names)).jobs if job.id in made]
    return Retried(jobs=jobs, refused=refused, left=selection.left)


def schedules_of(wanted: RetryThese | RetryAll, snapshot: Snapshot) -> set[tuple[str, str]]:
    """Namespace and name of each schedule that a decision needs to read."""
    if isinstance(wanted, RetryAll):
        return {(job.namespace, job.schedule) for job in choose(wanted, snapshot).jobs}
    return {found for identity in wanted.ids if (found := schedule_of_job_id(identity))}


def choose(wanted: RetryThese | RetryAll, snapshot: Snapshot) -> RetrySelection:
    """The runs of these ids, or the oldest dead letters, at most RETRY_LIMIT."""
    if isinstance(wanted, RetryAll):
        oldest_first = snapshot.dead_letters[::-1]
        left = max(len(oldest_first) - RETRY_LIMIT, 0)
        return RetrySelection(oldest_first[:RETRY_LIMIT], (), left)
    found: list[Job] = []
    refused: list[Refusal] = []
    for identity in dict.fromkeys(wanted.ids):
        try:
            found.append(find_job(snapshot.jobs, identity))
        except RefusedError as error:
            refused.append(Refusal(id=identity, reason=error.message))
    return RetrySelection(found, refused, 0)
