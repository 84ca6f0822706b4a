"""Giving up runs that wait in the queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from http import HTTPStatus

from admin_api.schemas.queue import Cleanup, CleanupRequest, NotPurged
from admin_api.services import cleanup_rules
from admin_api.services.attempts import reference_to
from admin_api.services.audit import Audit, AuditAction
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Cluster
from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.resources import JOBS
from report_operator.domain.runs.run import Run

CONFLICTS = 3  # tries to write to a run that others write to as well
GONE = "gone"  # neither the Job nor its outcome is known any more


async def purge_queue(
    cluster: Cluster, audit: Audit, wanted: CleanupRequest, requested_by: str, now: datetime
) -> Cleanup:
    """Give up the runs that the request is about. A dry run only lists them.

    Of `wanted.ids` those that still wait; the answer says what became of the others.
    Raises RefusedError, and what Cluster raises.
    """
    snapshot = await cluster.snapshot(fresh=(JOBS,))
    chosen = cleanup_rules.to_purge(wanted, snapshot.runs, snapshot.schedules, now)
    asked = wanted.ids or [run.identity.id for run in chosen]
    # By the Job's uid: two runs by hand in one second share an id.
    done = {run.uid: run.identity.id for run in chosen} if wanted.dry_run else {}
    for _ in range(0 if wanted.dry_run else CONFLICTS):
        done |= await _purge(cluster, audit, wanted, requested_by, snapshot, chosen)
        left = {run.uid for run in chosen} - done.keys()
        if not left:
            break
        snapshot = await cluster.snapshot(fresh=(JOBS,))
        chosen = [run for run in snapshot.runs if run.waiting and run.uid in left]
    ids = list(done.values())
    return Cleanup(
        removed=0 if wanted.dry_run else len(ids),
        jobs=ids,
        dry_run=wanted.dry_run,
        not_waiting=_not_waiting(asked, set(ids), snapshot),
    )


async def _purge(
    cluster: Cluster,
    audit: Audit,
    wanted: CleanupRequest,
    requested_by: str,
    snapshot: Snapshot,
    chosen: Iterable[Run],
) -> dict[str, str]:
    """The runs that were given up, not those that somebody else wrote to since the snapshot."""
    schedules = {schedule.uid: schedule for schedule in snapshot.schedules}
    done = {}
    for run in chosen:
        try:
            await cluster.purge(run, wanted.older_than_hours, requested_by)
        except ApiError as error:
            if error.is_conflict or error.status == HTTPStatus.NOT_FOUND:
                continue  # it was admitted, moved forward or removed meanwhile
            raise
        done[run.uid] = run.identity.id
        if schedule := schedules.get(run.schedule_uid):
            await audit.record(
                AuditAction.PURGE, requested_by, run.identity.id, reference_to(schedule)
            )
    return done


def _not_waiting(
    asked: Iterable[str], done: Collection[str], snapshot: Snapshot
) -> list[NotPurged]:
    """What became of the runs that were asked for and are not given up."""
    states = {job.id: job.status.value for job in reversed(snapshot.jobs)}  # the newest counts
    return [
        NotPurged(id=identity, status=states.get(identity, GONE))
        for identity in dict.fromkeys(asked)
        if identity not in done
    ]
