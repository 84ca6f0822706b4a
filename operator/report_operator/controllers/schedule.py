"""One ReportSchedule: ensure what it owns, observe, decide, apply. Every step may be repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from report_operator.adapters.exports import Export, RecordedRun
from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.errors import API_ERRORS
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import JOBS, SCHEDULES
from report_operator.adapters.kube.skipped import REASON_LIMIT, printable
from report_operator.adapters.kube.store import Store
from report_operator.adapters.template_checks import CheckPendingError
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.lost_fields import refuse_lost_fields
from report_operator.api.v1alpha1.resource import (
    Key,
    ReportSchedule,
    SpecError,
    parse_schedule,
    parse_status,
)
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.controllers.cronjobs import PredecessorPresentError
from report_operator.controllers.observe import ScheduleObserver
from report_operator.controllers.outcome_archive import OutcomeArchive
from report_operator.controllers.owned_resources import OwnedResources
from report_operator.domain import names
from report_operator.domain.runs.attempts import job_of_attempt
from report_operator.domain.runs.data_wait import wait_patch
from report_operator.domain.runs.refusals import NO_JOB, explain_refusal, is_refusal
from report_operator.domain.runs.spans import about_entry, about_job, about_run
from report_operator.domain.schedules.decision import (
    Decision,
    OverdueRun,
    RunToSuspend,
    ScheduleLimits,
    decide,
)
from report_operator.domain.schedules.desired import job_for_slot
from report_operator.domain.schedules.observation import (
    Observation,
    ReadyProblem,
    RefusedSlot,
    RunRequests,
)
from report_operator.domain.schedules.requests import RequestedRun
from report_operator.domain.schedules.status import undecided
from report_operator.domain.schedules.transitions import transitions
from report_operator.domain.schedules.view import ScheduleView, view_of
from report_operator.domain.teams import Teams
from report_operator.metrics import Metrics

logger = logging.getLogger(__name__)

CHECK_TEMPLATE = timedelta(seconds=1)  # whether it compiles is not known yet
CHECK_UNDECIDED = timedelta(minutes=1)
# Of the API server and the way to it, or of two writers: the same may go well the next time.
TRY_AGAIN = (*API_ERRORS, PredecessorPresentError)


@dataclass(slots=True)
class ScheduleController:
    """Reconciles; one call at a time for one schedule."""

    kube: KubeClient
    store: Store
    owned_resources: OwnedResources
    observer: ScheduleObserver
    recorder: Recorder
    metrics: Metrics
    limits: ScheduleLimits
    history: OutcomeArchive
    teams: Teams
    exports: Sequence[Export[Any]]
    clock: Callable[[], datetime]
    views: dict[Key, ScheduleView] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)  # uids of schedules whose past is in metrics

    async def reconcile(self, key: Key) -> timedelta | None:
        """Bring one schedule to its desired state; returns when to reconcile again, if ever.

        Raises what the API server raises: the caller tries again. Any other error is about this
        schedule alone: it is recorded on the object, which is looked at again later.
        """
        body = self.store.schedules.get(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        try:
            again = await self._reconcile(key, body)
        except CheckPendingError:
            return CHECK_TEMPLATE
        except TRY_AGAIN as error:
            if isinstance(error, ApiError) and error.status in (400, 413, 422):
                self.store.skipped.note(SCHEDULES.plural, body, error)
            raise
        except Exception as error:
            if self.store.skipped.note(SCHEDULES.plural, body, error):
                logger.exception("%s: cannot be decided on", key)
            await self._record_undecided(body, error)
            return CHECK_UNDECIDED
        self.store.skipped.clear(SCHEDULES.plural, body["metadata"]["uid"])
        return again

    async def _record_undecided(self, body: dict[str, Any], error: Exception) -> None:
        """Ready=False in a status that otherwise stays as it is."""
        previous = parse_status(body)
        why = printable(f"{type(error).__name__}: {error}", REASON_LIMIT)
        status = undecided(previous, body["metadata"]["generation"], why, self.clock())
        written = await self._write_status(body, previous, status)
        for event in transitions(previous, status):
            self.recorder.record(written, event)

    async def _reconcile(self, key: Key, body: dict[str, Any]) -> timedelta | None:
        now = self.clock()
        previous = parse_status(body)
        schedule, problem = await self._ensure_owned_resources(body, previous, now)
        observation = await self.observer.observe(body, previous, schedule, problem, now)
        decision = decide(observation, self.limits)
        for overdue in decision.to_fail:
            await self._fail_job(overdue)
        for item in decision.to_suspend:
            await self._suspend(item)
        if decision.to_suspend:
            observation = await self.observer.observe(body, previous, schedule, problem, now)
            decision = decide(observation, self.limits)
        refused = await self._catch_up(key, observation, decision.catch_up)
        if decision.catch_up:  # the status has to name their runs: somebody may delete them at once
            observation = await self.observer.observe(body, previous, schedule, problem, now)
            decision = decide(observation, self.limits)
        if decision.requested:
            requests = await self._make_requested(key, observation, decision.requested)
            observation = await self.observer.observe(body, previous, schedule, problem, now)
            observation = replace(observation, requests=requests)
            decision = decide(observation, self.limits)
        if refused is None and decision.without_job is not None:
            refused = await self.observer.refused(key, observation, decision.without_job)
        if refused is not None:
            observation = replace(observation, refused=refused)
            decision = decide(observation, self.limits)
        await self._apply(key, body, observation, decision)
        self.metrics.reconciled(now)
        return decision.check_after

    async def _ensure_owned_resources(
        self, body: dict[str, Any], previous: ReportScheduleStatus, now: datetime
    ) -> tuple[ReportSchedule | None, ReadyProblem | None]:
        try:
            meta = body["metadata"]
            refuse_lost_fields(self.store.schedules.lost(Key(meta["namespace"], meta["name"])))
            schedule = parse_schedule(body)
        except SpecError as error:
            return None, ReadyProblem(ReadyReason.INVALID_SPEC, str(error))
        return schedule, await self.owned_resources.ensure(schedule, previous, now)

    # -- apply ------------------------------------------------------------------------------

    async def _apply(
        self, key: Key, body: dict[str, Any], observation: Observation, decision: Decision
    ) -> None:
        """A Job goes only when the API server has accepted the status that holds its outcome."""
        previous, status = observation.previous, decision.update.status
        written = await self._write_status(body, previous, status)
        self._publish(key, body, observation, decision)
        runs = [observed.run for observed in observation.runs]
        self.history.enqueue(written, decision.history.recent, runs)
        for run in decision.prune:
            await self.kube.delete(JOBS, run.namespace, run.name, run.uid)

    async def _fail_job(self, overdue: OverdueRun) -> None:
        """Let the Job controller end the Job, with the reason written in the same step."""
        run, cause = overdue.run, overdue.cause
        answer = await self.kube.patch(
            JOBS,
            run.namespace,
            run.name,
            {
                "metadata": {
                    "resourceVersion": run.resource_version,
                    "annotations": {
                        names.ANNOTATION_FAILURE_REASON: cause.reason.value,
                        names.ANNOTATION_FAILURE_MESSAGE: cause.message,
                    },
                },
                "spec": {"activeDeadlineSeconds": 1},
            },
        )
        self.store.observe_job(answer)

    async def _suspend(self, item: RunToSuspend) -> None:
        """Give up the run's place until its next check, and write why in the same step."""
        run = item.run
        patch = wait_patch(run.resource_version, item.wait)
        answer = await self.kube.patch(JOBS, run.namespace, run.name, patch)
        self.store.observe_job(answer)
        logger.info("%s/%s %s", run.namespace, run.name, item.wait.describe(), extra=about_run(run))

    async def _catch_up(
        self, key: Key, observation: Observation, slots: Sequence[datetime]
    ) -> RefusedSlot | None:
        """Make the Jobs of these slots; returns the first that the API server does not take."""
        if observation.cronjob is None:
            return None
        for slot in slots:
            job = job_for_slot(observation.cronjob, slot)
            try:
                answer = await self.kube.create(JOBS, key.namespace, job)
            except ApiError as error:
                if not is_refusal(error.status, error.message):
                    raise
                return RefusedSlot(slot, explain_refusal(error.message, NO_JOB), catch_up=True)
            if answer is not None:
                extra = about_job(key, slot, job)
                logger.info("%s: made the Job of the missed slot %s", key, slot, extra=extra)
                self.store.observe_job(answer)
        return None

    async def _make_requested(
        self, key: Key, observation: Observation, requested: Sequence[RequestedRun]
    ) -> RunRequests:
        """Make the Jobs that annotations ask for; returns the requests with what was refused."""
        refused: dict[str, str] = {}
        cronjob = observation.cronjob
        if cronjob is None:
            return observation.requests
        for item in requested:
            job = job_of_attempt(cronjob, item.attempt, item.requested_by)
            try:
                answer = await self.kube.create(JOBS, key.namespace, job)
                if answer is None:  # it is there, and was not observed yet
                    answer = await self.kube.get(JOBS, key.namespace, job["metadata"]["name"])
            except ApiError as error:
                if not is_refusal(error.status, error.message):
                    raise
                cause = explain_refusal(error.message, NO_JOB)
                refused[item.requested_by] = f"{cause.reason.value}: {cause.message}"
                continue
            if answer is not None:
                logger.info("%s: made Job %s: %s", key, job["metadata"]["name"], item.requested_by)
                self.store.observe_job(answer)
        return replace(observation.requests, refused=refused)

    async def _write_status(
        self, body: dict[str, Any], previous: ReportScheduleStatus, status: ReportScheduleStatus
    ) -> dict[str, Any]:
        """Returns the ReportSchedule as the API server has it then."""
        if status == previous:
            return body
        written = await self.kube.replace_status(SCHEDULES, {**body, "status": status.to_wire()})
        self.store.observe_schedule(written)
        return written

    def _publish(
        self, key: Key, body: dict[str, Any], observation: Observation, decision: Decision
    ) -> None:
        """Metrics and Events."""
        status, uid = decision.update.status, body["metadata"]["uid"]
        team = self.teams.of(key.namespace, body["metadata"].get("annotations") or {})
        view = view_of(key, body["spec"], team, observation.plan, decision.update)
        known = observation.recorded if uid in self._counted else frozenset[str]()
        self._counted.add(uid)
        for entry in status.recent_runs:
            if entry.uid not in known:
                self.metrics.run_recorded(key.namespace, key.name, view.tier, entry)
        for event in transitions(observation.previous, status):
            self.recorder.record(body, event)
        self.views[key] = view
        for entry in status.recent_runs:
            if entry.uid not in observation.recorded:
                self._tell(key, body, entry, None if observation.problem else status.definition)

    def _tell(
        self, key: Key, body: dict[str, Any], entry: RecentRun, definition: str | None
    ) -> None:
        """Log and export a run whose outcome has just been recorded."""
        why = f": {entry.reason.value}" if entry.reason else ""
        outcome = entry.outcome.value.lower()
        extra = about_entry(key.namespace, key.name, entry)
        logger.info("%s/%s %s%s", key.namespace, entry.job, outcome, why, extra=extra)
        run = RecordedRun(key.namespace, key.name, body["spec"], entry, definition)
        for export in self.exports:
            export.add(run)

    def _forget(self, key: Key) -> None:
        self.views.pop(key, None)
        self.owned_resources.forget(key)
