"""Reads and writes of the API server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.jobs import Job
from admin_api.services.attempt_rules import priority_patch, release_patch
from admin_api.services.cache import ClusterCache, Snapshot
from admin_api.services.cleanup_rules import purge_patch
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.override_rules import check_inherited, check_parameters
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.lease import (
    ANNOTATION_SHUTDOWN_REQUESTED,
    LEASES,
    LastClearing,
    clearing_of,
    write_cleared,
)
from report_operator.adapters.kube.reflector import Observe, Reflector
from report_operator.adapters.kube.resources import (
    BACKFILLS,
    CRONJOBS,
    JOBS,
    PODS,
    SCHEDULES,
    Resource,
)
from report_operator.adapters.kube.skipped import Skipped
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.names import LABEL_JOB_UID, LABEL_UID, LABEL_VERIFIES
from report_operator.domain.runs.attempts import Attempt, job_of_attempt, read_parameters
from report_operator.domain.runs.data_wait import without_checks
from report_operator.domain.runs.pod import Pod, observe_pod
from report_operator.domain.runs.run import Run, observe_job
from report_operator.domain.runs.verification import VerificationJob, observe_verification
from report_operator.domain.schedules.calendar import Calendar
from report_operator.domain.schedules.plan import calendar_of
from report_operator.domain.schedules.problems import recipients_in
from report_operator.domain.times import format_time, parse_time

LOG_LINES = 20
REPLICA_SETS = Resource("/apis/apps/v1", "replicasets")


@dataclass(frozen=True, slots=True)
class Leader:
    """The operator that holds the Lease. The instants are by its clock."""

    holder: str | None  # None where nobody holds it
    uid: str
    acquired_at: datetime | None
    renewed_at: datetime | None
    seconds: int
    silent: float  # seconds for which the Lease was not renewed, as seen from here
    stopping: bool


@dataclass(slots=True)
class Cluster:
    """Raises ApiError, aiohttp.ClientError or TimeoutError where the API server does not serve."""

    kube: KubeClient
    namespace: str  # the operator's own
    lease_name: str
    watched: tuple[str | None, ...]
    # The newest version of the Lease, and when it was first seen (monotonic), because clocks of
    # two pods must not be compared.
    _lease_version: tuple[str, float] = ("", 0.0)
    _cache: ClusterCache = field(default_factory=ClusterCache)
    _reflectors: dict[Resource, list[Reflector]] = field(init=False)  # in the order of reading

    def __post_init__(self) -> None:
        cache = self._cache
        # A Job is removed once its outcome is in the schedule's status: what is missing from the
        # first list is in the second.
        self._reflectors = {
            JOBS: self._reflect(JOBS, LABEL_UID, cache.observe_run, cache.retain_runs),
            SCHEDULES: self._reflect(SCHEDULES, "", cache.observe_schedule, cache.retain_schedules),
        }

    def _reflect(
        self,
        kind: Resource,
        labels: str,
        observe: Observe,
        keep: Callable[[str | None, set[str]], None],
    ) -> list[Reflector]:
        return [
            Reflector(
                self.kube, kind, namespace, labels, observe, partial(keep, namespace), self.skipped
            )
            for namespace in self.watched
        ]

    @property
    def skipped(self) -> Skipped:
        """Objects that cannot be read."""
        return self._cache.skipped

    async def watch(self) -> None:
        """Watch until cancelled; `snapshot` waits until this runs."""
        async with asyncio.TaskGroup() as group:
            for reflectors in self._reflectors.values():
                for reflector in reflectors:
                    group.create_task(reflector.run())

    async def snapshot(self, *, fresh: Collection[Resource] = ()) -> Snapshot:
        """What the watches have seen, some milliseconds old; kinds in `fresh` are listed anew.

        A read after an action sees at least what the action saw.
        """
        for kind, reflectors in self._reflectors.items():
            await asyncio.gather(*(r.fresh() if kind in fresh else r.current() for r in reflectors))
        return self._cache.snapshot()

    async def refresh(self, *schedules: tuple[str, str]) -> Snapshot:
        """A snapshot in which these schedules (namespace and name) are read anew."""
        await self.snapshot()
        await asyncio.gather(*(self._refresh(*schedule) for schedule in schedules))
        return self._cache.snapshot()

    async def _refresh(self, namespace: str, name: str) -> None:
        if self.watched != (None,) and namespace not in self.watched:
            return
        before = await self.kube.get(SCHEDULES, namespace, name)
        uid = before["metadata"]["uid"] if before else ""
        jobs = await self.kube.list(JOBS, namespace, labels=f"{LABEL_UID}={uid}") if uid else []
        # A Job is removed once its outcome is in the schedule's status: that is read last.
        body = await self.kube.get(SCHEDULES, namespace, name)
        if body is not None:
            self._cache.observe_schedule(body)
        for job in jobs:
            try:
                self._cache.observe_run(job)
            except Exception as error:  # noqa: BLE001  (one Job hides no other)
                self.skipped.note(JOBS.plural, job, error)
        self._cache.retain_runs_of(uid, {job["metadata"]["uid"] for job in jobs})
        self._cache.retain_name(namespace, name, body["metadata"]["uid"] if body else "")

    async def leader(self) -> Leader:
        """Reads the Lease, which also says up to when dead letters are cleared."""
        lease = await self.kube.get(LEASES, self.namespace, self.lease_name)
        spec = lease["spec"] if lease else {}
        annotations = (lease["metadata"].get("annotations") or {}) if lease else {}
        holder = spec.get("holderIdentity") or None
        self._cache.observe_cleared(clearing_of(lease, datetime.now(UTC)))
        version = lease["metadata"]["resourceVersion"] if lease else ""
        if version != self._lease_version[0]:
            self._lease_version = (version, time.monotonic())
        return Leader(
            holder=holder,
            uid=lease["metadata"]["uid"] if lease else "",
            acquired_at=parse_time(spec.get("acquireTime")),
            renewed_at=parse_time(spec.get("renewTime")),
            seconds=spec.get("leaseDurationSeconds", 15),
            silent=time.monotonic() - self._lease_version[1],
            stopping=holder is not None
            and annotations.get(ANNOTATION_SHUTDOWN_REQUESTED) == holder,
        )

    async def replica_sets(self) -> list[dict[str, Any]]:
        """Those of the operator's own Deployment, which has the name of its Lease."""
        return [
            body
            for body in await self.kube.list(REPLICA_SETS, self.namespace)
            if any(
                (owner["kind"], owner["name"]) == ("Deployment", self.lease_name)
                for owner in body["metadata"].get("ownerReferences") or ()
            )
        ]

    async def request_shutdown(self, holder: str) -> None:
        """The leading operator stops at its next renewal of the Lease."""
        await self.kube.patch(
            LEASES,
            self.namespace,
            self.lease_name,
            {"metadata": {"annotations": {ANNOTATION_SHUTDOWN_REQUESTED: holder}}},
        )

    async def clear_dead_letters(self, clearing: LastClearing) -> None:
        """Take the failures until then off the list, in this process and for the operator.

        Raises RefusedError.
        """
        written = await write_cleared(self.kube, self.namespace, self.lease_name, clearing)
        if written is None:
            raise RefusedError(
                409,
                f"the Lease {self.namespace}/{self.lease_name} could not be written: does an "
                "operator lead? Ask again",
            )
        self._cache.observe_cleared(written)

    async def log_tail(self, job: Job, runs: Sequence[Run]) -> list[str]:
        """The last LOG_LINES of the run's newest pod; none after its Job is gone."""
        uid = next((r.uid for r in runs if (r.namespace, r.name) == (job.namespace, job.job)), None)
        if uid is None:
            return []
        pods = await self._pods(job.namespace, uid)
        if not pods:
            return []
        newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
        return await self.kube.log_tail(job.namespace, newest["metadata"]["name"], LOG_LINES)

    async def pods_of(self, run: Run) -> list[Pod]:
        """Oldest first, without those that only asked whether its data are ready."""
        pods = [observe_pod(body) for body in await self._pods(run.namespace, run.uid)]
        return without_checks(sorted(pods, key=lambda pod: pod.created_at), run.data_wait)

    async def _pods(self, namespace: str, job_uid: str) -> list[dict[str, Any]]:
        return await self.kube.list(PODS, namespace, labels=f"{LABEL_JOB_UID}={job_uid}")

    async def spec_of(self, namespace: str, name: str) -> dict[str, Any]:
        """A ReportSchedule's spec as it is declared now; empty where it is gone."""
        body = await self.kube.get(SCHEDULES, namespace, name)
        return body["spec"] if body is not None else {}

    async def recipients_of(self, schedule: ScheduleSummary) -> set[str]:
        """Recipients of the schedule's mails, as they are written there."""
        return recipients_in(await self.spec_of(schedule.namespace, schedule.name))

    async def create_attempt(
        self, schedule: ScheduleSummary, attempt: Attempt, requested_by: str
    ) -> None:
        """Create the Job of an attempt, unless it exists. Raises RefusedError."""
        cronjob = await self.cronjob_of(schedule)
        if attempt.inherits:
            before = names.attempt_job_name(
                cronjob["metadata"]["name"], attempt.slot, attempt.number - 1
            )
            job = await self.kube.get(JOBS, schedule.namespace, before)
            if job is None:
                spec = await self.spec_of(schedule.namespace, schedule.name)
                check_inherited(attempt, before, spec)
            annotations = (job or {}).get("metadata", {}).get("annotations") or {}
            known = read_parameters(annotations.get(names.ANNOTATION_PARAMETERS, ""))
            attempt = replace(attempt, parameters=known)
        body = job_of_attempt(cronjob, attempt, requested_by)
        await self.kube.create(JOBS, schedule.namespace, body)

    async def cronjob_of(self, schedule: ScheduleSummary) -> dict[str, Any]:
        """What runs are made from. Raises RefusedError."""
        name = schedule.status.cron_job
        cronjob = await self.kube.get(CRONJOBS, schedule.namespace, name) if name else None
        if cronjob is None:
            raise RefusedError(
                409,
                f"{schedule.namespace}/{schedule.name} has no CronJob to make a run from: see why "
                f"it is not Ready (kubectl -n {schedule.namespace} describe reportschedule "
                f"{schedule.name})",
            )
        return cronjob

    async def verifications(self, namespace: str | None = None) -> list[VerificationJob]:
        """The Jobs that look at what was sent; of all namespaces unless one is named."""
        bodies: list[dict[str, Any]] = []
        for watched in self.watched if namespace is None else (namespace,):
            bodies += await self.kube.list(JOBS, watched, labels=LABEL_VERIFIES)
        found = [observe_verification(body) for body in bodies]
        return [job for job in found if job is not None]

    async def create_verification(self, body: dict[str, Any]) -> None:
        """A Job of this name that is there already is success."""
        await self.kube.create(JOBS, body["metadata"]["namespace"], body)

    async def pod_of_verification(self, job: VerificationJob) -> Pod | None:
        pods = [observe_pod(body) for body in await self._pods(job.namespace, job.uid)]
        return max(pods, key=lambda pod: pod.created_at, default=None)

    async def calendar(self, schedule: ScheduleSummary) -> Calendar | None:
        """The calendar in effect, with the dates of a ConfigMap: that of the CronJob."""
        name = schedule.status.cron_job
        cronjob = await self.kube.get(CRONJOBS, schedule.namespace, name) if name else None
        return calendar_of(cronjob) if cronjob is not None else schedule.calendar

    async def release(self, job: Job) -> None:
        """Let a run start that waits for a business day, since somebody asked for it."""
        body = await self.kube.get(JOBS, job.namespace, job.job)
        run = observe_job(body) if body is not None else None
        if run is None or not run.waiting or not run.calendar_verdict.left_out:
            return
        try:
            await self.kube.patch(JOBS, run.namespace, run.name, release_patch(run))
        except ApiError as error:
            if not error.is_conflict and error.status != HTTPStatus.NOT_FOUND:
                raise  # else it was let start or ended meanwhile: the answer shows what it is now

    async def check_parameters(
        self, schedule: ScheduleSummary, parameters: Mapping[str, str]
    ) -> None:
        """Whether the schedule declares them. Raises RefusedError."""
        body = await self.kube.get(SCHEDULES, schedule.namespace, schedule.name)
        if body is not None:
            check_parameters(parameters, body)

    async def backfills(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for namespace in self.watched:
            found += await self.kube.list(BACKFILLS, namespace)
        return found

    async def find_backfill(self, namespace: str, name: str) -> dict[str, Any] | None:
        if self.watched != (None,) and namespace not in self.watched:
            return None
        if not (names.is_object_name(namespace) and names.is_object_name(name)):
            return None
        return await self.kube.get(BACKFILLS, namespace, name)

    async def delete_backfill(self, namespace: str, name: str, uid: str) -> bool:
        """False where it is gone already, or another has its name."""
        return await self.kube.delete(BACKFILLS, namespace, name, uid)

    async def create_backfill(self, body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The ReportBackfill as stored, and whether this call created it. Raises RefusedError."""
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        made = await self.kube.create(BACKFILLS, namespace, body)
        found = made or await self.kube.get(BACKFILLS, namespace, name)
        if found is None:
            raise RefusedError(
                409, f"{namespace}/{name} was deleted just now: send the request again"
            )
        return found, made is not None

    async def purge(self, run: Run, hours: float, requested_by: str) -> None:
        """Mark a waiting run so that the operator gives it up."""
        patch = purge_patch(run, hours, requested_by)
        await self.kube.patch(JOBS, run.namespace, run.name, patch)

    async def acknowledge(self, schedule: ScheduleSummary, through: datetime) -> None:
        """Write up to which slot failures of the schedule need no report."""
        said = {names.ANNOTATION_ACKNOWLEDGED: format_time(through)}
        body = {"metadata": {"uid": schedule.uid, "annotations": said}}
        await self.kube.patch(SCHEDULES, schedule.namespace, schedule.name, body)

    async def set_priority(self, run: Run, priority: Priority) -> None:
        await self.kube.patch(JOBS, run.namespace, run.name, priority_patch(run, priority))
