"""What has been observed of the cluster, as the watch streams and our own writes tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from report_operator.adapters.bodies import Bodies
from report_operator.adapters.runs import Runs
from report_operator.api.v1alpha1 import backfill
from report_operator.api.v1alpha1.resource import Key
from report_operator.domain import names
from report_operator.domain.run import Pod, Run, observe_pod

Body = Mapping[str, Any]


@dataclass(slots=True)
class Store:
    """Latest known state; an older version of an object never replaces a newer one."""

    schedules: Bodies = field(default_factory=Bodies)
    cronjobs: Bodies = field(default_factory=Bodies)  # by their schedule
    backfills: Bodies = field(default_factory=Bodies)
    runs: Runs = field(default_factory=Runs)
    pods: dict[str, dict[str, Pod]] = field(default_factory=dict)  # by Job uid, pod name
    heard: set[str] = field(default_factory=set)  # kinds whose watch spoke since the last resync
    news: asyncio.Event = field(default_factory=asyncio.Event)  # of schedules or runs, for Lists
    # By backfill: schedule and Job of each run that it has to count yet.
    _uncounted: dict[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def observe_schedule(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool]:
        """Take note of a ReportSchedule; its key, and whether this was news."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        told = self.schedules.observe(key, body, deleted=deleted)
        if told:
            self.news.set()
        return key, told

    def observe_cronjob(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Take note of a CronJob; None for one that does not say whose it is."""
        meta = body["metadata"]
        said = (meta.get("annotations") or {}).get(names.ANNOTATION_SCHEDULE, "")
        if not said and names.LABEL_UID not in (meta.get("labels") or {}):
            return None
        key = Key(meta["namespace"], names.schedule_of_cronjob(meta["name"], said))
        return key, self.cronjobs.observe(key, body, deleted=deleted)

    def observe_backfill(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool]:
        """Take note of a ReportBackfill; its key, and whether this was news."""
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
        """The backfills with runs of this schedule to count yet, and the names of their Jobs."""
        return {
            key: jobs
            for key, runs in self._uncounted.items()
            if key.namespace == schedule.namespace
            and (jobs := frozenset(job for name, job in runs if name == schedule.name))
        }

    def observe_job(self, body: Body, *, deleted: bool = False) -> tuple[Key, bool] | None:
        """Take note of a Job; None for one that only looks like ours."""
        found = self.runs.observe(body, deleted=deleted)
        if found is None:
            return None
        run, told = found
        if deleted:
            self.pods.pop(run.uid, None)
        if told:
            self.news.set()
        return Key(run.namespace, run.schedule), told

    def forget_run(self, uid: str) -> None:
        """Drop a Job that is gone, and its pods."""
        self.pods.pop(uid, None)
        if self.runs.forget(uid) is not None:
            self.news.set()

    def observe_pod(self, body: Body, *, deleted: bool = False) -> Key | None:
        """Take note of a pod; the schedule of its run, where that is known.

        A deleted pod stays known while its Job does: it may be the only one that knows why the
        run failed.
        """
        meta = body["metadata"]
        job_uid = (meta.get("labels") or {}).get(names.LABEL_JOB_UID)
        if job_uid is None:
            return None
        pod = observe_pod(body)
        pods = self.pods.setdefault(job_uid, {})
        known = pods.get(pod.name)
        if known is not None and known.resource_version > pod.resource_version:
            return None
        if deleted and not pod.ended:
            pods.pop(pod.name, None)
        else:
            pods[pod.name] = pod
        run = self.runs.get(job_uid)
        return Key(run.namespace, run.schedule) if run else None

    def runs_of(self, schedule_uid: str) -> list[Run]:
        """The runs of a schedule, oldest slot first."""
        runs = self.runs.of(schedule_uid).values()
        return sorted(runs, key=lambda run: (run.slot, run.created_at, run.name))

    def pods_of(self, run: Run) -> list[Pod]:
        """The pods of a run, oldest first."""
        pods = self.pods.get(run.uid, {}).values()
        return sorted(pods, key=lambda pod: pod.created_at)

    def forget_orphan_pods(self) -> None:
        """Drop pods of Jobs that are gone."""
        for uid in [uid for uid in self.pods if uid not in self.runs]:
            del self.pods[uid]

    def uids(self, plural: str) -> set[str]:
        """Uids of the schedules, backfills, CronJobs or Jobs that are known."""
        if plural == "jobs":
            return set(self.runs)
        known = {"cronjobs": self.cronjobs, backfill.PLURAL: self.backfills}
        return known.get(plural, self.schedules).uids()

    def forget(self, uids: set[str]) -> None:
        """Drop schedules, backfills, CronJobs and Jobs that are gone."""
        for bodies in (self.schedules, self.cronjobs, self.backfills):
            if bodies.forget(uids):
                self.news.set()
        for key in [key for key in self._uncounted if key not in self.backfills]:
            del self._uncounted[key]
        for uid in uids & set(self.runs):
            self.forget_run(uid)
