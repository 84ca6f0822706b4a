"""One ReportSchedule: gather what is observed, decide, apply. Every step may be repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import JOBS, PODS, SCHEDULES
from report_operator.adapters.kube.skipped import REASON_LIMIT, printable
from report_operator.adapters.kube.store import Store
from report_operator.adapters.template_checks import CheckPendingError
from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.resource import (
    Key,
    ReportSchedule,
    SpecError,
    parse_schedule,
    parse_status,
)
from report_operator.api.v1alpha1.spec import MissedRunsPolicy
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.controllers.history_archiver import NoArchive, OutcomeArchive
from report_operator.controllers.owned_resources import OwnedResources, PredecessorPresentError
from report_operator.domain import names
from report_operator.domain.runs.deadlines import DeadlineExceeded, exceeded_deadline
from report_operator.domain.runs.failure import Cause, PendingReason, explain_pending
from report_operator.domain.runs.outcomes import (
    HistoryLimits,
    RunHistory,
    merge,
    prunable,
    record,
    record_finished,
)
from report_operator.domain.runs.pending import explain_refused
from report_operator.domain.runs.refusals import explain_refusal, is_refusal
from report_operator.domain.runs.run import Pod, Run, Stage
from report_operator.domain.schedules.cronjob import definition_of
from report_operator.domain.schedules.desired import job_for_slot
from report_operator.domain.schedules.lateness import Plan, slots_to_catch_up
from report_operator.domain.schedules.plan import observe_plan
from report_operator.domain.schedules.status import (
    Observation,
    ReadyProblem,
    StatusUpdate,
    compute_status,
    slot_without_run,
    undecided,
)
from report_operator.domain.schedules.transitions import transitions
from report_operator.domain.schedules.view import ScheduleView, storage_use
from report_operator.metrics import Metrics
from report_runner.contract.model import parse_duration

logger = logging.getLogger(__name__)

LOOK_AT_PENDING = timedelta(seconds=5)  # a pod that starts needs less
LOOK_AT_PENDING_LATER = timedelta(minutes=1)  # at one that has not started for long
LOOK_AT_PENDING_CHECK = timedelta(seconds=1)  # whether its template compiles
LOOK_AT_UNDECIDED = timedelta(minutes=1)
# Of the API server and the way to it, or of two writers: the same may go well the next time.
TRY_AGAIN = (ApiError, PredecessorPresentError, aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class StartLimits:
    """How long a run may wait or fail to start."""

    startup: timedelta
    queue: timedelta


@dataclass(slots=True)
class ScheduleController:
    """Holds what the steps share; one call at a time for one schedule."""

    kube: KubeClient
    store: Store
    children: OwnedResources
    recorder: Recorder
    metrics: Metrics
    keep: HistoryLimits
    limits: StartLimits
    clock: Callable[[], datetime]
    history: OutcomeArchive = field(default_factory=NoArchive)
    waits_for: Callable[[str], str] = lambda _: ""  # what holds a waiting run back, by Job uid
    views: dict[Key, ScheduleView] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)  # uids of schedules whose past is in metrics

    async def reconcile(self, key: Key) -> timedelta | None:
        """Bring one schedule to where it should be; when to look again, if ever.

        Raises what the API server raises; the caller tries again. What else goes wrong is about
        this schedule alone: it is told, and looked at again later.
        """
        body = self.store.schedules.get(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        try:
            again = await self._reconcile(key, body)
        except CheckPendingError:
            return LOOK_AT_PENDING_CHECK
        except TRY_AGAIN as error:
            if isinstance(error, ApiError) and error.status in (400, 413, 422):
                self.store.skipped.note(SCHEDULES.plural, body, error)
            raise
        except Exception as error:
            if self.store.skipped.note(SCHEDULES.plural, body, error):
                logger.exception("%s: cannot be decided on", key)
            await self._tell_undecided(body, error)
            return LOOK_AT_UNDECIDED
        self.store.skipped.clear(SCHEDULES.plural, body["metadata"]["uid"])
        return again

    async def _tell_undecided(self, body: dict[str, Any], error: Exception) -> None:
        """Ready=False in a status that otherwise stays as it is."""
        previous = parse_status(body)
        why = printable(f"{type(error).__name__}: {error}", REASON_LIMIT)
        status = undecided(previous, body["metadata"]["generation"], why, self.clock())
        written = await self._write_status(body, previous, status)
        for event in transitions(previous, status):
            self.recorder.record(written, event)

    async def _reconcile(self, key: Key, body: dict[str, Any]) -> timedelta | None:
        now = self.clock()
        uid = body["metadata"]["uid"]
        previous = parse_status(body)
        schedule, problem = await self._ensure_children(body, previous, now)
        # One that is not ours is no plan of ours.
        owned = self.store.cronjobs.controller(key) == uid
        cronjob = self.store.cronjobs.get(key) if owned else None
        plan = observe_plan(cronjob) if cronjob else None
        runs = self.store.runs_of(uid)
        pods = {run.uid: self.store.pods_of(run) for run in runs}
        blockages = await self._blockages(runs, pods, now)
        blocked_run = next((run for run in runs if run.uid in blockages), None)
        blockage = blockages[blocked_run.uid] if blocked_run is not None else None
        ended = await self._end_overdue(runs, pods, blockages, now)
        handled_through = previous.handled_through
        refusal = None
        if schedule is not None and plan is not None:
            handled_through, refusal = await self._catch_up(
                schedule, cronjob, plan, runs, previous, now
            )
        fresh = ended + [
            record_finished(run, await self._final_pods(run, pods[run.uid]))
            for run in runs
            if run.finished and run.uid not in {entry.uid for entry in previous.recent_runs}
        ]
        ledger = merge(
            RunHistory(tuple(previous.recent_runs), previous.run_counts),
            fresh,
            {run.uid for run in runs}
            | self._uncounted(key, previous)
            | self.history.unrecorded(uid, [entry.uid for entry in previous.recent_runs]),
            self.keep.outcomes,
        )
        if plan is not None and cronjob is not None and refusal is None:
            slot = slot_without_run(plan, previous, ledger.recent, runs, now)
            refusal = await self._refusal(key, cronjob, slot) if slot else None
        facts = Observation(
            generation=body["metadata"]["generation"],
            problem=problem,
            plan=plan,
            cronjob=cronjob["metadata"]["name"] if cronjob else None,
            definition=definition_of(cronjob) if cronjob else None,
            runs=[run for run in runs if run.uid not in {entry.uid for entry in ended}],
            ledger=ledger,
            blockage=blockage,
            blocked_run=blocked_run,
            handled_through=handled_through,
            waits_for=self.waits_for,
            refusal=refusal,
        )
        verdict = compute_status(previous, facts, now)
        written = await self._write_status(body, previous, verdict.status)
        self._publish(key, body, previous, verdict, plan)
        self.history.offer(written, ledger.recent, runs)
        await self._prune(uid, runs, ledger, ended)
        self.metrics.reconciled(now)
        return self._look_again(verdict, facts, now)

    # -- steps ------------------------------------------------------------------------------

    async def _ensure_children(
        self, body: dict[str, Any], previous: ReportScheduleStatus, now: datetime
    ) -> tuple[ReportSchedule | None, ReadyProblem | None]:
        try:
            schedule = parse_schedule(body)
        except SpecError as error:
            return None, ReadyProblem(ReadyReason.INVALID_SPEC, str(error))
        return schedule, await self.children.ensure(schedule, previous, now)

    def _uncounted(self, key: Key, status: ReportScheduleStatus) -> set[str]:
        """Uids of recorded runs that a backfill has still to count."""
        jobs = frozenset[str]().union(*self.store.backfills_waiting_for(key).values())
        return {entry.uid for entry in status.recent_runs if entry.job in jobs}

    async def _blockages(
        self, runs: Sequence[Run], pods: dict[str, list[Pod]], now: datetime
    ) -> dict[str, PendingReason]:
        """What keeps runs that should have started from doing so, by Job uid."""
        found: dict[str, PendingReason] = {}
        for run in runs:
            if run.stage not in (Stage.PENDING, Stage.RETRYING) or run.deleting:
                continue
            newest = pods[run.uid][-1] if pods[run.uid] else None
            if newest is not None and newest.ended:
                newest = None  # the Job controller waits before the next attempt, or cannot make it
            since = newest.created_at if newest else run.admitted_at
            if since is None or now - since < LOOK_AT_PENDING:
                continue
            about = ("Pod", newest.name) if newest else ("Job", run.name)
            events = await self.recorder.events_about(about[0], run.namespace, about[1])
            blockage = explain_pending(newest, events)
            if blockage is not None:
                found[run.uid] = blockage
        return found

    async def _refusal(self, key: Key, cronjob: dict[str, Any], slot: datetime) -> Cause | None:
        """Why the CronJob controller could not make the Job of a slot; None where it was not."""
        name = cronjob["metadata"]["name"]
        events = await self.recorder.events_about("CronJob", key.namespace, name)
        return explain_refused(events, "its Job could not be made", slot)

    async def _end_overdue(
        self,
        runs: Sequence[Run],
        pods: dict[str, list[Pod]],
        blockages: Mapping[str, PendingReason],
        now: datetime,
    ) -> list[RecentRun]:
        """End runs that would hang for ever; the outcomes of those that never had a pod."""
        ended: list[RecentRun] = []
        for run in runs:
            found = exceeded_deadline(
                run,
                pods[run.uid],
                blockages.get(run.uid),
                self.limits.startup,
                self.limits.queue,
                now,
                self.waits_for(run.uid),
            )
            if found is None:
                continue
            if run.suspended:
                ended.append(record(run, (), now, found.cause))
            else:
                await self._fail_job(run, found)
        return ended

    async def _fail_job(self, run: Run, found: DeadlineExceeded) -> None:
        """Let the Job controller end the Job, with our reason written in the same step."""
        answer = await self.kube.patch(
            JOBS,
            run.namespace,
            run.name,
            {
                "metadata": {
                    "resourceVersion": run.resource_version,
                    "annotations": {
                        names.ANNOTATION_FAILURE_REASON: found.cause.reason.value,
                        names.ANNOTATION_FAILURE_MESSAGE: found.cause.message,
                    },
                },
                "spec": {"activeDeadlineSeconds": 1},
            },
        )
        self.store.observe_job(answer)

    async def _catch_up(
        self,
        schedule: ReportSchedule,
        cronjob: dict[str, Any] | None,
        plan: Plan,
        runs: Sequence[Run],
        previous: ReportScheduleStatus,
        now: datetime,
    ) -> tuple[datetime | None, Cause | None]:
        """Make the Jobs of missed slots where the policy is RunAll.

        Up to where that is done, and why it went no further: status is written in any case.
        """
        missed = schedule.spec.missed_runs
        if missed.policy is not MissedRunsPolicy.RUN_ALL or cronjob is None:
            return previous.handled_through, None
        through = previous.handled_through
        within = parse_duration(missed.start_within)
        for slot in slots_to_catch_up(plan, runs, through, within, now):
            job = job_for_slot(cronjob, slot)
            try:
                answer = await self.kube.create(JOBS, schedule.namespace, job)
            except ApiError as error:
                if is_refusal(error.status, error.message):
                    return through, explain_refusal(error.message, "its Job could not be made")
                raise
            if answer is not None:
                logger.info("%s: made the Job of the missed slot %s", schedule.key, slot)
                self.store.observe_job(answer)
            through = slot
        newest = max((run.slot for run in runs if not run.manual), default=None)
        return max((instant for instant in (through, newest) if instant), default=None), None

    async def _final_pods(self, run: Run, pods: list[Pod]) -> list[Pod]:
        """The pods of a finished run; asks again where the watch has not told the end yet."""
        if any(pod.ended and pod.exit_code is not None for pod in pods) and not any(
            not pod.ended for pod in pods
        ):
            return pods
        labels = f"{names.LABEL_JOB_UID}={run.uid}"
        for body in await self.kube.list(PODS, run.namespace, labels=labels):
            self.store.observe_pod(body)
        return self.store.pods_of(run)

    async def _write_status(
        self, body: dict[str, Any], previous: ReportScheduleStatus, status: ReportScheduleStatus
    ) -> dict[str, Any]:
        """The ReportSchedule as the API server has it then."""
        if status == previous:
            return body
        written = await self.kube.replace_status(SCHEDULES, {**body, "status": status.to_wire()})
        self.store.observe_schedule(written)
        return written

    def _publish(
        self,
        key: Key,
        body: dict[str, Any],
        previous: ReportScheduleStatus,
        verdict: StatusUpdate,
        plan: Plan | None,
    ) -> None:
        status = verdict.status
        uid, tier = body["metadata"]["uid"], body["spec"].get("tier", "standard")
        known = {entry.uid for entry in previous.recent_runs} if uid in self._counted else set()
        self._counted.add(uid)
        for entry in status.recent_runs:
            if entry.uid not in known:
                self.metrics.run_recorded(key.namespace, key.name, tier, entry)
        for event in transitions(previous, status):
            self.recorder.record(body, event)
        conditions = {condition.type: condition.status for condition in status.conditions}
        self.views[key] = ScheduleView(
            namespace=key.namespace,
            name=key.name,
            tier=tier,
            last_run_failed=conditions.get(ConditionType.FAILING) == "True",
            ready=conditions.get(ConditionType.READY) == "True",
            late_after=plan.late_after if plan else timedelta(0),
            next_due=verdict.next_due if plan and not plan.suspended else None,
            last_success=status.last_success_time,
            queued=status.queued,
            active=status.active,
            counts=status.run_counts,
            storage=storage_use(status.recent_runs),
        )

    async def _prune(
        self, uid: str, runs: Sequence[Run], ledger: RunHistory, ended: Sequence[RecentRun]
    ) -> None:
        """Delete Jobs whose outcome is in the status that the API server has accepted.

        A finished one stays until history has it too. One that was given up on is not finished:
        it would hold up the next slots, and all that is known of it is in status and offered.
        """
        given_up = {entry.uid for entry in ended} & {entry.uid for entry in ledger.recent}
        waiting = self.history.unrecorded(uid, [entry.uid for entry in ledger.recent])
        done = [run for run in prunable(runs, ledger, self.keep) if run.uid not in waiting]
        for run in [*done, *(run for run in runs if run.uid in given_up)]:
            await self.kube.delete(JOBS, run.namespace, run.name, run.uid)

    def _look_again(
        self, verdict: StatusUpdate, facts: Observation, now: datetime
    ) -> timedelta | None:
        moments = [] if verdict.check_at is None else [verdict.check_at - now]
        waiting = [
            run.admitted_at or run.created_at for run in facts.runs if run.stage is Stage.PENDING
        ]
        if any(run.stage is Stage.RETRYING for run in facts.runs):
            moments.append(2 * LOOK_AT_PENDING)
        if verdict.due is not None and verdict.due.run is None:
            waiting.append(verdict.due.slot)
        # Often at first, so that what is wrong is told soon, then seldom.
        moments += [
            min(max((now - since) / 2, LOOK_AT_PENDING), LOOK_AT_PENDING_LATER) for since in waiting
        ]
        if facts.problem is not None:
            moments.append(timedelta(seconds=30))
        return min(moments, default=None)

    def _forget(self, key: Key) -> None:
        self.views.pop(key, None)
        self.children.forget(key)
