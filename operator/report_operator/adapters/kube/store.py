"""The observed state of the cluster, from the watch streams and from our own writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from report_operator.adapters.kube.object_cache import ObjectCache
from report_operator.adapters.kube.run_store import RunStore
from report_operator.adapters.kube.skipped import Skipped
from report_operator.api.v1alpha1 import backfill
from report_operator.api.v1alpha1.resource import PLURAL, Key
from report_operator.domain import names
from report_operator.domain.runs.data_wait import is_check, without_checks
from report_operator.domain.runs.pod import Pod, observe_pod
from report_operator.domain.runs.run import Run, controller_of

Body = Mapping[str, Any]
T = TypeVar("T")

JOBS, CRONJOBS, PODS = "jobs", "cronjobs", "pods"
NOT_OWNED = (
    "it claims to be a run of a ReportSchedule whose CronJob is not its controller "
    "(metadata.ownerReferences): not a run"
)


def _skipping_unreadable(
    plural: str,
) -> Callable[[Callable[..., T | None]], Callable[..., T | None]]:
    """Wraps an `observe` method: an object that it cannot read is skipped and recorded."""

    def wrap(method: Callable[..., T | None]) -> Callable[..., T | None]:
        @wraps(method)
        def observe(self: Store, body: Body, *, deleted: bool = False) -> T | None:
            try:
                found = method(self, body, deleted=deleted)
            except Exception as error:  # noqa: BLE001  (whatever an object says stops no other)
                if not deleted:
                    self.skipped.note(plural, body, error)
                return None
            if deleted:
                self.skipped.clear(plural, str(body["metadata"].get("uid")))
            return found

        return observe

    return wrap


@dataclass(slots=True)
class Store:
    """Latest known state; an older version of an object never replaces a newer one."""

    schedules: ObjectCache = field(default_factory=ObjectCache)
    cronjobs: ObjectCache = field(default_factory=ObjectCache)  # by their schedule
    backfills: ObjectCache = field(default_factory=ObjectCache)
    runs: RunStore = field(default_factory=RunStore)
    # By namespace and Job uid, pod name.
    pods: dict[tuple[str, str], dict[str, Pod]] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=Skipped)
    watched: set[str] = field(default_factory=set)  # kinds with a watch event since the last resync
    news: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # of schedules or runs, for RedisMirror
    # By backfill: schedule and Job of each run that it has to count yet.
    _uncounted: dict[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)
    _strangers: set[str] = field(default_factory=set)  # uids of Jobs that are not owned

    @_skipping_unreadable(PLURAL)
    def observe_schedule(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Store a ReportSchedule; its key, and whether it changed. None: skipped."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        changed = self.schedules.observe(key, body, deleted=deleted)
        if changed:
            self.news.set()
        return key, changed

    @_skipping_unreadable(CRONJOBS)
    def observe_cronjob(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Store a CronJob; None for one that is not that of the schedule it names."""
        meta = body["metadata"]
        said = (meta.get("annotations") or {}).get(names.ANNOTATION_SCHEDULE, "")
        if not said and names.LABEL_UID not in (meta.get("labels") or {}):
            return None
        key = Key(meta["namespace"], names.schedule_of_cronjob(meta["name"], said))
        if not deleted and said != key.name:
            # It is known by its own name: one of a schedule of ours is put right.
            why = f"{names.ANNOTATION_SCHEDULE}: the CronJob of {said!r} has another name"
            self.skipped.note(CRONJOBS, body, why)
        elif not deleted:
            self.skipped.clear(CRONJOBS, str(meta["uid"]))
        return key, self.cronjobs.observe(key, body, deleted=deleted)

    @_skipping_unreadable(backfill.PLURAL)
    def observe_backfill(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Store a ReportBackfill; its key, and whether it changed. None: skipped."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        news = self.backfills.observe(key, body, deleted=deleted)
        if news:
            status = {} if deleted else body.get("status") or {}
            uncounted = status.get("inFlight") or ()
            if uncounted:
                self._uncounted[key] = frozenset((run["schedule"], run["job"]) for run in uncounted)
            else:
                self._uncounted.pop(key, None)
        return key, news

    def backfills_waiting_for(self, schedule: Key) -> dict[Key, frozenset[str]]:
        """Backfills that have yet to count runs of this schedule, and the names of their Jobs."""
        return {
            key: jobs
            for key, runs in self._uncounted.items()
            if key.namespace == schedule.namespace
            and (jobs := frozenset(job for name, job in runs if name == schedule.name))
        }

    @_skipping_unreadable(JOBS)
    def observe_job(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Store a Job; None for one that is skipped."""
        try:
            found = self.runs.observe(body, deleted=deleted)
        except Exception:
            self.forget_run(str(body["metadata"].get("uid")))
            self.news.set()
            raise
        if found is None:
            return None
        run, changed = found
        if deleted:
            self.pods.pop((run.namespace, run.uid), None)
        if changed:
            self.skipped.clear(JOBS, run.uid)
            self.news.set()
        return Key(run.namespace, run.schedule), changed

    def owns(self, run: Run) -> bool:
        """Whether the run belongs to a schedule of its namespace, by way of its CronJob.

        Labels and owners of a Job can be written by anybody who may write Jobs there.
        """
        key = Key(run.namespace, run.schedule)
        return (
            run.owner_uid != ""
            and run.owner_uid == self.cronjobs.uid(key)
            and run.schedule_uid == self.schedules.uid(key)
            and run.schedule_uid == self.cronjobs.controller(key)
        )

    def owned_runs(self) -> Iterator[Run]:
        """Every run that belongs to the schedule that it names."""
        return (run for run in self.runs.values() if self.owns(run))

    def note_strangers(self) -> None:
        """Record Jobs that claim to be runs and are not; called after a whole list.

        Not at once: Jobs of a schedule that was just deleted are collected soon.
        """
        strangers = {run.uid: run for run in self.runs.values() if not self.owns(run)}
        for uid, run in strangers.items():
            if uid in self._strangers and not run.deleting:
                self.skipped.note(JOBS, job_reference(run), NOT_OWNED)
        for uid in self._strangers - strangers.keys():
            self.skipped.clear(JOBS, uid)
        self._strangers = set(strangers)

    def forget_run(self, uid: str) -> None:
        """Drop a deleted Job, and its pods."""
        run = self.runs.forget(uid)
        if run is not None:
            self.pods.pop((run.namespace, uid), None)
            self.news.set()

    @_skipping_unreadable(PODS)
    def observe_pod(self, body: Body, *, deleted: bool = False) -> Key | None:
        """Store a pod; the schedule of its run, where that is known.

        A deleted pod stays known while its Job does: it may be the only one that knows why the run
        failed.
        """
        meta = body["metadata"]
        job_uid = (meta.get("labels") or {}).get(names.LABEL_JOB_UID)
        if job_uid is None:
            return None
        if not job_uid or controller_of(meta, "Job") != job_uid:
            if not deleted:
                self.skipped.note(
                    PODS, body, f"{names.LABEL_JOB_UID}: names a Job that is not its controller"
                )
            return None
        pod = observe_pod(body)
        pods = self.pods.setdefault((pod.namespace, job_uid), {})
        known = pods.get(pod.name)
        if known is not None and known.resource_version > pod.resource_version:
            return None
        if deleted and not pod.ended:
            pods.pop(pod.name, None)
        else:
            pods[pod.name] = pod
        run = self.runs.get(job_uid)
        if run is None or run.namespace != pod.namespace:
            return None
        return Key(run.namespace, run.schedule)

    def runs_of(self, schedule_uid: str) -> list[Run]:
        """Oldest slot first."""
        runs = (run for run in self.runs.of(schedule_uid).values() if self.owns(run))
        return sorted(runs, key=lambda run: (run.slot, run.created_at, run.name))

    def pods_of(self, run: Run) -> list[Pod]:
        """Oldest first, without those that only asked whether the run's data are ready.

        The last of these is among them until the operator has acted on its answer.
        """
        known = self.pods.get((run.namespace, run.uid), {}).values()
        pods = sorted(known, key=lambda pod: pod.created_at)
        return without_checks(pods, run.data_wait)

    def checks_of(self, run: Run) -> int:
        """How many pods of the run asked whether its data are ready."""
        return sum(map(is_check, self.pods.get((run.namespace, run.uid), {}).values()))

    def forget_orphan_pods(self) -> None:
        """Drop the pods of deleted Jobs."""
        for namespace, uid in list(self.pods):
            run = self.runs.get(uid)
            if run is None or run.namespace != namespace:
                del self.pods[namespace, uid]

    def uids(self, plural: str) -> set[str]:
        """Of the schedules, backfills, CronJobs or Jobs that are known."""
        if plural == "jobs":
            return set(self.runs)
        known = {"cronjobs": self.cronjobs, backfill.PLURAL: self.backfills}
        return known.get(plural, self.schedules).uids()

    def forget(self, uids: set[str]) -> None:
        """Drop deleted schedules, backfills, CronJobs and Jobs."""
        for bodies in (self.schedules, self.cronjobs, self.backfills):
            if bodies.forget(uids):
                self.news.set()
        for key in [key for key in self._uncounted if key not in self.backfills]:
            del self._uncounted[key]
        for uid in uids & set(self.runs):
            self.forget_run(uid)


def job_reference(run: Run) -> Body:
    """The fields of the Job that an Event about it needs."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
            "resourceVersion": run.resource_version,
        },
    }
