"""Collects what a decision about one ReportSchedule is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from report_operator.adapters.kube.client import KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import JOBS, PODS
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import Key, ReportSchedule
from report_operator.api.v1alpha1.status import ActiveRun, ReportScheduleStatus
from report_operator.controllers.outcome_archive import OutcomeArchive
from report_operator.domain import names
from report_operator.domain.runs.cause import PendingReason
from report_operator.domain.runs.observed import ObservedRun
from report_operator.domain.runs.pending import explain_pending, explain_refused
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.refusals import NO_JOB
from report_operator.domain.runs.run import Run, Stage
from report_operator.domain.runs.vanished import REPLACEMENT_GRACE, missing_runs
from report_operator.domain.schedules.acknowledgement import read_acknowledgement
from report_operator.domain.schedules.decision import CHECK_PENDING
from report_operator.domain.schedules.observation import Observation, ReadyProblem, RefusedSlot
from report_operator.domain.schedules.plan import Plan, observe_plan, plan_of_spec
from report_operator.domain.schedules.problems import brief_of
from report_operator.domain.schedules.requests import read_requests
from report_operator.domain.schedules.zone_data import learn_zone
from report_operator.domain.times import parse_time


@dataclass(slots=True)
class ScheduleObserver:
    """Reads the store, and asks the API server where the store cannot be complete."""

    kube: KubeClient
    store: Store
    recorder: Recorder
    history: OutcomeArchive
    waits_for: Callable[[str], str]  # what holds a suspended run back, by Job uid
    _missing_since: dict[tuple[str, str], datetime] = field(default_factory=dict)

    async def observe(
        self,
        body: Mapping[str, Any],
        previous: ReportScheduleStatus,
        schedule: ReportSchedule | None,
        problem: ReadyProblem | None,
        now: datetime,
    ) -> Observation:
        """`schedule` is None where the spec is invalid; `problem` says why it is not in effect."""
        meta = body["metadata"]
        key, uid = Key(meta["namespace"], meta["name"]), meta["uid"]
        # The CronJob of another owner says nothing about this schedule's slots.
        owned = self.store.cronjobs.controller(key) == uid
        cronjob = self.store.cronjobs.get(key) if owned else None
        recorded = {entry.uid for entry in previous.recent_runs}
        missing, awaited = await self._missing(key, uid, previous, recorded, now)
        runs = self.store.runs_of(uid)
        plan = observe_plan(cronjob) if cronjob else _plan_without_cronjob(meta, schedule, previous)
        if plan is not None:
            made = [run.slot for run in runs if run.scheduled]
            plan = learn_zone(plan, [*made, *filter(None, [previous.last_schedule_time])])
        pending = self.history.pending(uid, [*recorded, *(run.uid for run in runs)])
        return Observation(
            now=now,
            generation=meta["generation"],
            previous=previous,
            spec=schedule.spec if schedule else None,
            problem=problem,
            cronjob=cronjob,
            plan=plan,
            created_at=parse_time(meta.get("creationTimestamp")),
            missing=missing,
            awaited=awaited,
            brief=brief_of(body),
            requests=read_requests(meta),
            acknowledgement=read_acknowledgement(meta, previous, now),
            runs=await self._runs(runs, recorded, schedule, plan, now),
            uncounted=self._uncounted(key, previous),
            pending_records=frozenset(pending),
        )

    async def refused(
        self, key: Key, observation: Observation, slot: datetime
    ) -> RefusedSlot | None:
        """Why the CronJob controller could not make a slot's Job; None where nothing is known."""
        name = observation.cronjob_name
        if name is None:
            return None
        events = await self.recorder.events_about("CronJob", key.namespace, name)
        cause = explain_refused(events, NO_JOB, slot)
        return RefusedSlot(slot, cause) if cause is not None else None

    async def _runs(
        self,
        runs: Sequence[Run],
        recorded: set[str],
        schedule: ReportSchedule | None,
        plan: Plan | None,
        now: datetime,
    ) -> list[ObservedRun]:
        suspended = schedule is not None and schedule.spec.suspend
        resumed_at = plan.since if plan else None
        found: list[ObservedRun] = []
        for run in runs:
            pods = self.store.pods_of(run)
            if run.finished and run.uid not in recorded:
                pods = await self._final_pods(run, pods)
            reason = await self._pending_reason(run, pods, now)
            held = suspended and run.waiting and run.scheduled
            waits_for = self.waits_for(run.uid)
            checks = self.store.checks_of(run)
            found.append(ObservedRun(run, now, pods, checks, reason, waits_for, held, resumed_at))
        return found

    async def _pending_reason(
        self, run: Run, pods: Sequence[Pod], now: datetime
    ) -> PendingReason | None:
        """What keeps a run that should have started from doing so."""
        if run.stage not in (Stage.PENDING, Stage.RETRYING) or run.deleting:
            return None
        newest = pods[-1] if pods else None
        if newest is not None and newest.ended:
            newest = None  # the Job controller waits before the next pod, or cannot make it
        since = newest.created_at if newest else run.admitted_at
        if since is None or now - since < CHECK_PENDING:
            return None
        kind, name = ("Pod", newest.name) if newest else ("Job", run.name)
        return explain_pending(newest, await self.recorder.events_about(kind, run.namespace, name))

    async def _final_pods(self, run: Run, pods: list[Pod]) -> list[Pod]:
        """The pods of a finished run; lists them where the watch has not shown the end yet."""
        if any(pod.ended and pod.exit_code is not None for pod in pods) and not any(
            not pod.ended for pod in pods
        ):
            return pods
        labels = f"{names.LABEL_JOB_UID}={run.uid}"
        for body in await self.kube.list(PODS, run.namespace, labels=labels):
            self.store.observe_pod(body)
        return self.store.pods_of(run)

    async def _missing(
        self,
        key: Key,
        uid: str,
        previous: ReportScheduleStatus,
        recorded: set[str],
        now: datetime,
    ) -> tuple[list[ActiveRun], list[ActiveRun]]:
        """Runs of the last status that have no Job any more: for good, and since a moment ago."""
        gone = missing_runs(previous.active_runs, self.store.runs_of(uid), recorded)
        self._missing_since = {
            pair: since
            for pair, since in self._missing_since.items()
            if pair[0] != uid or pair[1] in {entry.uid for entry in gone}
        }
        missing, awaited = [], []
        for entry in gone:
            since = self._missing_since.setdefault((uid, entry.uid), now)
            if now - since < REPLACEMENT_GRACE or await self._is_there(key, uid, entry):
                awaited.append(entry)
            else:
                missing.append(entry)
        return missing, awaited

    async def _is_there(self, key: Key, uid: str, entry: ActiveRun) -> bool:
        """Whether the API server has the Job, as a run of the schedule.

        One that cannot be read, since somebody edited its annotations, may work all the same.
        """
        body = await self.kube.get(JOBS, key.namespace, entry.job)
        if body is None or body["metadata"]["uid"] != entry.uid:
            return False
        if names.LABEL_UID not in (body["metadata"].get("labels") or {}):
            return False  # nobody follows it any more
        self.store.observe_job(body)
        if entry.uid not in self.store.runs:
            return True
        return any(run.uid == entry.uid for run in self.store.runs_of(uid))

    def _uncounted(self, key: Key, status: ReportScheduleStatus) -> frozenset[str]:
        jobs = frozenset[str]().union(*self.store.backfills_waiting_for(key).values())
        return frozenset(entry.uid for entry in status.recent_runs if entry.job in jobs)


def _plan_without_cronjob(
    meta: Mapping[str, Any], schedule: ReportSchedule | None, previous: ReportScheduleStatus
) -> Plan | None:
    since = previous.schedule_since or parse_time(meta.get("creationTimestamp"))
    return plan_of_spec(schedule.spec, since) if schedule and since else None
