"""Lists of runs, and one run with its details: what the cluster and history know, merged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from admin_api.schemas.jobs import (
    Delivery,
    Job,
    JobDetail,
    Jobs,
    JobsQuery,
    OutputFile,
    SlotAttempt,
)
from admin_api.services.attempt_rules import attempts_of
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import merge_jobs, select
from admin_api.services.jobs import job_of_record
from report_operator.adapters.kube.errors import API_ERRORS, ApiError
from report_operator.adapters.postgres.reader import StoredRun
from report_operator.domain.runs.run import Run
from report_runner.contract.logs import as_text
from report_runner.contract.traces import trace_id


async def list_jobs(cluster: Cluster, history: HistoryClient, query: JobsQuery) -> Jobs:
    """A page of runs. Raises RefusedError, and what Cluster raises."""
    snapshot, (stored, degraded) = await asyncio.gather(cluster.snapshot(), history.page(query))
    return select(snapshot.jobs, query, stored, degraded)


async def get_job(cluster: Cluster, history: HistoryClient, identity: str) -> JobDetail:
    """One run. Raises RefusedError, and what Cluster raises."""
    snapshot, (stored, degraded) = await asyncio.gather(cluster.snapshot(), history.find(identity))
    live = next((job for job in snapshot.jobs if job.id == identity), None)
    found = job_of_record(stored.record) if stored else live
    if found is None:
        raise history.not_found(degraded, identity)
    uid = stored.record.schedule_uid if stored else snapshot.uid_of(found)
    known = merge_jobs(snapshot.jobs, await history.attempts(uid, found.slot))
    attempts = attempts_of(found.namespace, found.schedule, found.slot, known)
    log, unread = await _log_of(cluster, found, snapshot.runs)
    detail = detail_of(found, log).model_copy(
        update={
            "attempts": [SlotAttempt(**job.model_dump()) for job in reversed(attempts)],
            "degraded": [*degraded, *unread],
        }
    )
    return detail if stored is None else with_record(detail, stored)


async def _log_of(cluster: Cluster, job: Job, runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """The log's last lines, and why there are none.

    The API server asks the kubelet for them: where the node is lost, all else is known still.
    """
    try:
        return await cluster.log_tail(job, runs), []
    except API_ERRORS as error:
        said = error.message if isinstance(error, ApiError) else str(error) or type(error).__name__
        return [], [f"the log of the run's pod cannot be read: {said}"]


def detail_of(job: Job, log: list[str]) -> JobDetail:
    """A run with the last lines of its log."""
    return JobDetail(
        **job.model_dump(),
        log=as_text(log),
        trace_id=trace_id(job.id),
        log_command=f"kubectl -n {job.namespace} logs job/{job.job}",
    )


def with_record(detail: JobDetail, stored: StoredRun) -> JobDetail:
    """With what history adds; the log is the one stored where the pod has none."""
    record = stored.record
    return detail.model_copy(
        update={
            "pages": record.pages,
            "pods": record.pods,
            "files": [OutputFile(**asdict(output)) for output in record.outputs],
            "deliveries": [Delivery(**item.model_dump()) for item in stored.deliveries],
            "log": detail.log or as_text((stored.log or "").splitlines()),
        }
    )
