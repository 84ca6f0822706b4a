"""Writes the CronJob of a ReportSchedule: only where it differs, and then as a whole."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import CRONJOBS, JOBS
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.resource import API_VERSION, Key, ReportSchedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.runs.refusals import is_refusal
from report_operator.domain.runs.spans import about_job
from report_operator.domain.schedules.cronjob import is_orphan, is_settled
from report_operator.domain.schedules.desired import job_for_slot
from report_operator.domain.schedules.exact import holds_metadata, is_exact_spec, replacement
from report_operator.domain.schedules.lateness import slot_without_job
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.plan import last_scheduled, observe_plan
from report_operator.domain.schedules.transitions import WARNING, Transition
from report_operator.domain.schedules.zone_data import learn_zone
from report_operator.domain.times import format_time

logger = logging.getLogger(__name__)


class PredecessorPresentError(Exception):
    """The CronJob of a deleted ReportSchedule of the same name is not collected yet."""

    status = 409


@dataclass(slots=True)
class CronJobWriter:
    """Remembers its last writes: a webhook or a newer API server may add to what was written."""

    kube: KubeClient
    store: Store
    recorder: Recorder
    # A digest of the desired CronJob, and the generation that it became.
    _applied: dict[Key, tuple[bytes, int]] = field(default_factory=dict)

    async def ensure(
        self,
        schedule: ReportSchedule,
        live: Body | None,
        desired: Body,
        previous: ReportScheduleStatus,
        now: datetime,
    ) -> ReadyProblem | None:
        """Make the live CronJob as desired; the API server's refusal is a problem."""
        if live is None:
            return await self._create(schedule, desired, previous.schedule_since)
        if self._up_to_date(schedule.key, live, desired):
            self.store.observe_cronjob(live)
            return None
        return await self._replace(schedule, live, desired, previous, now)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a deleted schedule."""
        self._applied.pop(key, None)

    async def _create(
        self, schedule: ReportSchedule, desired: Body, since_before: datetime | None
    ) -> ReadyProblem | None:
        try:
            answer = await self.kube.create(CRONJOBS, schedule.namespace, desired)
        except ApiError as error:
            return _refusal(error)
        if answer is None:
            # It was not in the list yet: the next attempt sees whose it is.
            raise PredecessorPresentError(schedule.name)
        if since_before is not None:
            # Somebody deleted the CronJob: slots since then are still due.
            answer = await self._start_counting_at(answer, since_before)
        self._remember(schedule.key, desired, answer)
        return None

    async def _replace(
        self,
        schedule: ReportSchedule,
        live: Body,
        desired: Body,
        previous: ReportScheduleStatus,
        now: datetime,
    ) -> ReadyProblem | None:
        meta = live["metadata"]
        was_ours = self._was_applied(schedule.key, live, desired)
        orphan = is_orphan(schedule, live)
        since = names.ANNOTATION_SINCE
        before, after = (body["metadata"].get("annotations") or {} for body in (live, desired))
        if not is_settled(schedule, previous) and before.get(since) != after[since]:
            if not orphan:
                await self._make_job_of_due_slot(schedule, live, desired, now)
            await self._start_counting_at(live, now)
        try:
            answer = await self.kube.json_patch(
                CRONJOBS, meta["namespace"], meta["name"], replacement(live, desired)
            )
        except ApiError as error:
            return _refusal(error)
        generation = answer["metadata"]["generation"]
        if was_ours and is_settled(schedule, previous) and generation != meta["generation"]:
            record_warning(
                self.recorder,
                schedule,
                Transition(
                    WARNING,
                    "CronJobRestored",
                    f"somebody edited the CronJob {meta['name']}; it is put right: what "
                    "a ReportSchedule runs is decided by its own spec and the operator's "
                    "configuration",
                    now,
                    str(generation),
                ),
            )
        self._remember(schedule.key, desired, answer)
        if orphan:
            await self._clear_waiting_jobs(schedule, meta["uid"], now)
        return None

    async def _clear_waiting_jobs(
        self, schedule: ReportSchedule, cronjob_uid: str, now: datetime
    ) -> None:
        """Delete the waiting Jobs of the schedule that the CronJob belonged to before.

        Nobody admits them, and with concurrencyPolicy Forbid the CronJob controller would make no
        other while one of them is there.
        """
        waiting = [
            run
            for run in self.store.runs.values()
            if run.namespace == schedule.namespace
            and run.owner_uid == cronjob_uid
            and run.schedule_uid != schedule.uid
            and (run.waiting or run.between_checks)
        ]
        for run in waiting:
            await self.kube.delete(JOBS, run.namespace, run.name, run.uid)
        event = Transition(
            WARNING,
            "CronJobAdopted",
            f"the CronJob {names.cronjob_name(schedule.name)} was left behind by a deleted "
            f"ReportSchedule of this name and is this one's now; {len(waiting)} of its Jobs that "
            "waited were deleted: generate the reports of their dates where they are wanted",
            now,
            cronjob_uid,
        )
        record_warning(self.recorder, schedule, event)

    def _remember(self, key: Key, desired: Body, answer: Body) -> None:
        self._applied[key] = (_digest(desired), answer["metadata"]["generation"])
        self.store.observe_cronjob(answer)

    def _up_to_date(self, key: Key, live: Mapping[str, Any], desired: Body) -> bool:
        return holds_metadata(live["metadata"], desired["metadata"]) and (
            is_exact_spec(live["spec"], desired["spec"])
            or self._applied.get(key) == (_digest(desired), live["metadata"]["generation"])
        )

    def _was_applied(self, key: Key, live: Mapping[str, Any], desired: Body) -> bool:
        """Whether the CronJob was given exactly this spec before: then somebody else changed it."""
        applied, name = self._applied.get(key), names.ANNOTATION_APPLIED
        if applied is not None:
            return applied[0] == _digest(desired)
        annotations = live["metadata"].get("annotations") or {}
        return bool(annotations.get(name) == desired["metadata"]["annotations"][name])

    async def _make_job_of_due_slot(
        self, schedule: ReportSchedule, live: Body, desired: Body, now: datetime
    ) -> None:
        """Make the Job of a slot that comes due at the moment of an edit.

        It uses the desired template: the live one may have been edited by somebody else.
        """
        plan = observe_plan(live)
        if plan is None:
            return
        last = last_scheduled(live)
        plan = learn_zone(plan, [last] if last else ())
        within = timedelta(seconds=live["spec"].get("startingDeadlineSeconds") or 0)
        slot = slot_without_job(plan, [last] if last else (), within, now)
        if slot is None:
            return
        meta = live["metadata"]
        cronjob = {"metadata": meta, "spec": desired["spec"]}
        try:
            answer = await self.kube.create(JOBS, meta["namespace"], job_for_slot(cronjob, slot))
        except ApiError as error:
            if not is_refusal(error.status, error.message):
                raise
            # The edit goes on: a quota would hold it up, and all that is said of the schedule.
            record_warning(self.recorder, schedule, _slot_not_made(slot, error.message, now))
            return
        if answer is not None:
            logger.info(
                "%s/%s: made the Job of the due slot %s before an edit",
                meta["namespace"],
                meta["name"],
                slot,
                extra=about_job(schedule.key, slot, answer),
            )
            self.store.observe_job(answer)

    async def _start_counting_at(self, cronjob: Mapping[str, Any], instant: datetime) -> Body:
        """Set lastScheduleTime, from which the CronJob controller counts slots.

        Otherwise an edit or an unsuspend would at once start a slot in the past.
        """
        meta = cronjob["metadata"]
        return await self.kube.patch(
            CRONJOBS,
            meta["namespace"],
            meta["name"],
            {"status": {"lastScheduleTime": format_time(instant)}},
            subresource="status",
        )


def _slot_not_made(slot: datetime, why: str, now: datetime) -> Transition:
    text = format_time(slot)
    return Transition(
        WARNING,
        "SlotsMissed",
        f"slot {text} was due when the schedule was edited, and the API server refused its Job: "
        f"{why}; generate the report of its date where it is wanted",
        now,
        f"{text}-refused",
    )


def _digest(body: Body) -> bytes:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


def record_warning(recorder: Recorder, schedule: ReportSchedule, event: Transition) -> None:
    """A warning in the log, and an Event on the ReportSchedule."""
    logger.warning("%s: %s: %s", schedule.key, event.reason, event.message)
    about = {
        "apiVersion": API_VERSION,
        "kind": schedule.kind,
        "metadata": {
            "name": schedule.name,
            "namespace": schedule.namespace,
            "uid": schedule.uid,
        },
    }
    recorder.record(about, event)


def _refusal(error: ApiError) -> ReadyProblem:
    """Raises the error where the API server does not serve."""
    if is_refusal(error.status, error.message):
        return ReadyProblem(ReadyReason.API_ERROR, f"the CronJob was refused: {error.message}")
    raise error
