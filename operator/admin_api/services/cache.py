"""Cache of schedules and runs; only what changed is computed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

from admin_api.schemas.jobs import Job
from admin_api.services.job_lists import dead_letters_of, newest_first
from admin_api.services.jobs import ScheduleSummary, jobs_of, read_schedule
from report_operator.adapters.kube.lease import LastClearing
from report_operator.adapters.kube.run_store import RunStore
from report_operator.adapters.kube.skipped import Skipped
from report_operator.domain.runs.dead_letter import is_cleared
from report_operator.domain.runs.run import Run

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """Schedules and runs at one moment; `jobs` and `dead_letters` are newest first."""

    schedules: Sequence[ScheduleSummary]
    runs: Sequence[Run]
    jobs: Sequence[Job]
    dead_letters: Sequence[Job]
    skipped: Sequence[str] = ()  # one line for each object that cannot be read
    cleared: LastClearing | None = None  # no dead letter failed until then

    @property
    def cleared_through(self) -> datetime | None:
        return self.cleared.through if self.cleared is not None else None

    @cached_property
    def by_name(self) -> Mapping[tuple[str, str], Job]:
        """Keyed by namespace and name of the Kubernetes Job."""
        return {(job.namespace, job.job): job for job in self.jobs}

    @cached_property
    def _by_schedule(self) -> Mapping[tuple[str, str], Sequence[Job]]:
        found: dict[tuple[str, str], list[Job]] = {}
        for job in self.jobs:
            found.setdefault((job.namespace, job.schedule), []).append(job)
        return found

    def of_schedule(self, namespace: str, name: str) -> Sequence[Job]:
        """The runs of one schedule, newest first."""
        return self._by_schedule.get((namespace, name), ())

    def uid_of(self, job: Job) -> str:
        """The uid of a run's ReportSchedule; '' where it is gone."""
        name = (job.namespace, job.schedule)
        return next((s.uid for s in self.schedules if (s.namespace, s.name) == name), "")


@dataclass(slots=True)
class ClusterCache:
    """Keyed by uid. An older version of an object never replaces a newer one."""

    _schedules: dict[str, ScheduleSummary] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)  # of schedules
    _runs: RunStore = field(default_factory=RunStore)
    # By the schedule's uid; a missing entry is computed at the next snapshot.
    _jobs: dict[str, Sequence[Job]] = field(default_factory=dict)
    _dead_letters: dict[str, Sequence[Job]] = field(default_factory=dict)
    _cleared: LastClearing | None = None
    _snapshot: Snapshot | None = None
    skipped: Skipped = field(default_factory=Skipped)

    def observe_schedule(self, body: Body, *, deleted: bool = False) -> None:
        uid, version = body["metadata"]["uid"], int(body["metadata"]["resourceVersion"])
        if deleted:
            self._drop_schedule(uid)
        elif self._versions.get(uid, -1) < version:
            self._schedules[uid], self._versions[uid] = read_schedule(body), version
            self._invalidate(uid)

    def observe_run(self, body: Body, *, deleted: bool = False) -> None:
        found = self._runs.observe(body, deleted=deleted)
        if found is not None and found[1]:
            self._invalidate(found[0].schedule_uid)

    def retain_schedules(self, namespace: str | None, uids: set[str]) -> None:
        """Drop those of the namespace (None: of all) that are not among these uids."""
        for uid, schedule in list(self._schedules.items()):
            if namespace in (None, schedule.namespace) and uid not in uids:
                self._drop_schedule(uid)

    def retain_runs(self, namespace: str | None, uids: set[str]) -> None:
        """Drop those of the namespace (None: of all) that are not among these uids."""
        for uid, run in list(self._runs.items()):
            if namespace in (None, run.namespace) and uid not in uids:
                self._drop_run(uid)

    def retain_runs_of(self, schedule_uid: str, uids: set[str]) -> None:
        """Drop the runs of one schedule that are not among these uids."""
        for uid in self._runs.of(schedule_uid).keys() - uids:
            self._drop_run(uid)

    def retain_name(self, namespace: str, name: str, uid: str) -> None:
        """Drop schedules of this name with another uid; uid '' drops them all."""
        for known in list(self._schedules.values()):
            if (known.namespace, known.name) == (namespace, name) and known.uid != uid:
                self._drop_schedule(known.uid)

    def observe_cleared(self, clearing: LastClearing | None) -> None:
        """The last clearing of the dead letters."""
        if clearing != self._cleared:
            self._cleared, self._snapshot = clearing, None

    def snapshot(self) -> Snapshot:
        """The same object while nothing changes."""
        if self._snapshot is None:
            for uid, schedule in self._schedules.items():
                if uid not in self._jobs:
                    self._jobs[uid] = self._read_jobs(schedule)
                    self._dead_letters[uid] = dead_letters_of(self._jobs[uid])
            through = self._cleared.through if self._cleared is not None else None
            self._snapshot = Snapshot(
                sorted(self._schedules.values(), key=lambda s: (s.namespace, s.name)),
                tuple(self._runs.values()),
                newest_first(chain.from_iterable(self._jobs.values())),
                newest_first(
                    job
                    for job in chain.from_iterable(self._dead_letters.values())
                    if not is_cleared(job.failed_at, through)
                ),
                cleared=self._cleared,
            )
        skipped = self.skipped.summary()
        if list(self._snapshot.skipped) != skipped:
            self._snapshot = replace(self._snapshot, skipped=skipped)
        return self._snapshot

    def _read_jobs(self, schedule: ScheduleSummary) -> Sequence[Job]:
        """Runs of the schedule; labels of a Job of another namespace or owner are not trusted."""
        runs = [
            run
            for run in self._runs.of(schedule.uid).values()
            if (run.namespace, run.schedule) == (schedule.namespace, schedule.name)
            and run.owner_uid
        ]
        try:
            return jobs_of(schedule, runs)
        except Exception as error:  # noqa: BLE001  (one schedule hides no other)
            meta = {"namespace": schedule.namespace, "name": schedule.name, "uid": schedule.uid}
            self.skipped.note("reportschedules", {"metadata": meta}, error)
            return ()

    def _drop_schedule(self, uid: str) -> None:
        if self._schedules.pop(uid, None) is not None:
            del self._versions[uid]
            self._invalidate(uid)

    def _drop_run(self, uid: str) -> None:
        run = self._runs.forget(uid)
        if run is not None:
            self._invalidate(run.schedule_uid)

    def _invalidate(self, schedule_uid: str) -> None:
        self._jobs.pop(schedule_uid, None)
        self._dead_letters.pop(schedule_uid, None)
        self._snapshot = None
