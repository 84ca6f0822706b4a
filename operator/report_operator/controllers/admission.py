"""Admission: resumes waiting runs, and stamps on them what their pods need."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from report_operator.adapters.kube.client import ApiError, KubeClient
from report_operator.adapters.kube.resources import JOBS
from report_operator.adapters.kube.store import Store, job_reference
from report_operator.api.v1alpha1.resource import Key
from report_operator.domain import names
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.admission.queue import (
    Queue,
    does_not_start,
    held_by_calendar,
    make_queue,
    start_overdue_since,
)
from report_operator.domain.cron.schedule import load_zone
from report_operator.domain.runs.data_wait import enqueue_patch
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.runs.spans import about_run
from report_operator.domain.schedules.zone_data import slot_date
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)

# Answers that concern the API server as a whole, not one Job.
SERVER_STATUSES = (401, 429, 503, 504)
PASSES = 5  # in one go, where Jobs are refused and others may have their places
NEXT_GO = timedelta(seconds=1)
FIRST_RETRY = timedelta(seconds=1)  # of a Job that was refused; doubled each time
LAST_RETRY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Refusal:
    times: int
    retry_at: datetime


@dataclass(slots=True)
class AdmissionController:
    """Admits as many as the limits allow; one pass at a time."""

    kube: KubeClient
    store: Store
    limits: AdmissionLimits
    start_grace: timedelta  # after which an admitted run without a running pod does not start
    clock: Callable[[], datetime]
    refusals: int = 0  # so far
    _refused: dict[str, _Refusal] = field(default_factory=dict)  # by Job uid
    _last: Queue = field(default_factory=lambda: Queue((), 0, 0))

    async def admit(self) -> timedelta | None:
        """Resume all runs that may start; returns when time alone may let others start.

        A Job that the API server refuses to change is skipped for a while and its place goes to the
        next one. Raises where the API server does not serve at all.
        """
        await self._enqueue_checks()
        for _ in range(PASSES):
            before = self.refusals
            self._last = self.queue()
            admissible = self._last.admissible
            for run in admissible:
                await self._admit(run)
            if self.refusals == before:
                if admissible:
                    self._last = self.queue()
                return self._check_after()
        return NEXT_GO

    def queue(self) -> Queue:
        """Computed from the store."""
        now = self.clock()
        runs = list(self.store.owned_runs())
        stuck = {
            run.uid
            for run in runs
            if run.active and does_not_start(run, self._newest(run), self.start_grace, now)
        }
        refused = {uid for uid, refusal in self._refused.items() if now < refusal.retry_at}
        suspended = {
            run.uid
            for run in runs
            if run.waiting
            and run.scheduled
            and self.store.schedules.suspended(Key(run.namespace, run.schedule))
        }
        holidays = held_by_calendar(runs, now)
        return make_queue(runs, self.limits, stuck, refused, suspended, holidays)

    def waits_for(self, uid: str) -> str:
        """What held a waiting run back in the last pass, for a person; '' if it is not known."""
        entry = self._last.by_uid.get(uid)
        return entry.reason if entry else ""

    async def _admit(self, run: Run) -> None:
        try:
            patch = admission_patch(run, self.clock())
        except (
            ValueError,
            OverflowError,
            TypeError,
        ) as error:  # an annotation is not a time zone or a date
            self._refuse(run, str(error))
            return
        if await self._patch(run, patch):
            logger.info("%s/%s is admitted", run.namespace, run.name, extra=about_run(run))

    async def _enqueue_checks(self) -> None:
        """Put the runs into the queue whose next check is due: whether their data are ready."""
        now = self.clock()
        for run in list(self.store.owned_runs()):
            wait = run.data_wait
            if wait is None or not run.between_checks or now < wait.next_check:
                continue
            refusal = self._refused.get(run.uid)
            if refusal is None or refusal.retry_at <= now:
                await self._patch(run, enqueue_patch(run.resource_version, wait, now))

    async def _patch(self, run: Run, patch: dict[str, Any]) -> bool:
        """Whether it was taken. Raises where the API server does not serve at all."""
        try:
            answer = await self.kube.patch(JOBS, run.namespace, run.name, patch)
        except ApiError as error:
            if error.status == 404 or error.is_conflict:
                logger.debug(
                    "%s/%s changed before admission",
                    run.namespace,
                    run.name,
                    extra=about_run(run),
                )
                return False
            if error.status in SERVER_STATUSES:
                raise
            self._refuse(run, f"{error.status}: {error.message}")
            return False
        self._refused.pop(run.uid, None)
        self.store.observe_job(answer)
        return True

    def _refuse(self, run: Run, why: str) -> None:
        known = self._refused.get(run.uid)
        times = known.times + 1 if known else 1
        pause = min(FIRST_RETRY * 2 ** min(times - 1, 10), LAST_RETRY)
        self._refused[run.uid] = _Refusal(times, self.clock() + pause)
        self.refusals += 1
        self.store.skipped.note(JOBS.plural, job_reference(run), f"it cannot be started: {why}")
        logger.warning(
            "%s/%s could not be admitted (%d times), again in %.0f s; others go on: %s",
            run.namespace, run.name, times, pause.total_seconds(), why,
            extra=about_run(run),
        )  # fmt: skip

    def _check_after(self) -> timedelta | None:
        """When a place is freed, or a refused Job is tried again, although nothing happens."""
        for uid in [uid for uid in self._refused if uid not in self.store.runs]:
            del self._refused[uid]
        now = self.clock()
        moments = [refusal.retry_at for refusal in self._refused.values()]
        moments += [entry.run.due_at for entry in self._last.waiting]
        for run in self.store.owned_runs():
            if run.data_wait is not None and run.between_checks:
                moments.append(run.data_wait.next_check)
            elif run.active and self._last.waiting:
                since = start_overdue_since(run, self._newest(run))
                if since is not None:
                    moments.append(since + self.start_grace)
        return min((moment - now for moment in moments if moment > now), default=None)

    def _newest(self, run: Run) -> Pod | None:
        pods = self.store.pods_of(run)
        return pods[-1] if pods else None


def admission_patch(run: Run, now: datetime) -> dict[str, Any]:
    """Resume the Job, and stamp slot, report date and run id on its pod template.

    A Job of a LocalQueue is stamped and handed over: with Kueue's label Kueue resumes it. The label
    may be added only while the Job is suspended (`validateUpdateForQueueName` in
    pkg/controller/jobframework of sigs.k8s.io/kueue).

    Annotations of the pod template may be changed while a Job is suspended and has not started
    (validation of k8s.io/api/batch/v1 Job). The report date is the slot's date in the schedule's
    zone, as the control plane has it.
    """
    report_date = slot_date(run.slot, load_zone(run.time_zone), run.slot_offset).isoformat()
    stamps = {
        names.ANNOTATION_SLOT: format_time(run.slot),
        names.ANNOTATION_REPORT_DATE: run.report_date or report_date,
        names.ANNOTATION_DUE_AT: format_time(run.due_at),
        names.ANNOTATION_RUN_ID: names.run_id(run.schedule, run.slot, run.attempt),
        names.ANNOTATION_ATTEMPT: str(run.attempt),
    }
    if run.resend:
        stamps[names.ANNOTATION_RESEND] = run.resend
    template = {"metadata": {"annotations": stamps}}
    if run.queue_name:
        return {
            "metadata": {
                "resourceVersion": run.resource_version,
                "labels": {names.LABEL_KUEUE_QUEUE: run.queue_name},
                "annotations": stamps,
            },
            "spec": {"template": template},
        }
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {**stamps, names.ANNOTATION_ADMITTED_AT: format_time(now)},
        },
        "spec": {"suspend": False, "template": template},
    }
