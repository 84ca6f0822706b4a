"""Keeps a schedule's ConfigMap and CronJob as they should be."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from report_operator.adapters.kube.client import ApiError, Body, KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import CONFIGMAPS, CRONJOBS, JOBS
from report_operator.adapters.kube.store import Store
from report_operator.adapters.template_checks import TemplateChecks
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.resource import API_VERSION, Key, ReportSchedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.controllers.definitions import DefinitionCondition, Definitions
from report_operator.domain import names
from report_operator.domain.admission.queue import NamespacePolicy
from report_operator.domain.schedules.cronjob import (
    counts_since,
    definition_of,
    is_settled,
    owner_kind,
    owner_uid,
)
from report_operator.domain.schedules.desired import (
    DEFINITION_LIMIT,
    FrozenDefinition,
    desired_config_map,
    desired_cronjob,
    freeze_definition,
    job_for_slot,
)
from report_operator.domain.schedules.exact import holds_metadata, is_exact_spec, replacement
from report_operator.domain.schedules.lateness import slot_without_job
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.plan import observe_plan
from report_operator.domain.schedules.pods import PodSettings
from report_operator.domain.schedules.transitions import WARNING, Transition
from report_operator.domain.schedules.validation import (
    check_admission,
    check_fires,
    check_queries,
    check_schedule,
    check_secrets,
    check_template,
    template_problem,
)
from report_operator.domain.times import format_time, parse_time

logger = logging.getLogger(__name__)

TEMPLATE_SECONDS = 20.0
FOREIGN_SECONDS = 5.0


@dataclass(slots=True)
class OwnedResources:
    """Written only where something differs, and then as a whole."""

    kube: KubeClient
    store: Store
    settings: PodSettings
    secret_allowed: Callable[[str], bool]
    definitions: Definitions
    recorder: Recorder
    templates: TemplateChecks
    policy_of: Callable[[str], NamespacePolicy] = lambda _: NamespacePolicy()  # by namespace
    # What the server made of our last write: a webhook, or a newer API server, may add to it.
    # A digest of the desired CronJob, and the generation that it became.
    _applied: dict[Key, tuple[bytes, int]] = field(default_factory=dict)
    _templates: TTLCache[tuple[str, str], Body | None] = field(init=False)
    _foreign: TTLCache[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        # Template ConfigMaps are not watched: an edited one is noticed by the next resync.
        self._templates = TTLCache(
            lambda key: self.kube.get(CONFIGMAPS, *key), seconds=TEMPLATE_SECONDS
        )
        self._foreign = TTLCache(self._read_foreign, seconds=FOREIGN_SECONDS)

    async def ensure(
        self, schedule: ReportSchedule, previous: ReportScheduleStatus, now: datetime
    ) -> ReadyProblem | None:
        """Bring the children about, or say why the last good ones stay as they are.

        Raises CheckPendingError while nobody can say whether the template compiles.
        """
        spec = schedule.spec
        problem = (
            check_schedule(spec)
            or check_fires(spec, now)
            or check_secrets(spec, self.secret_allowed)
            or check_queries(spec)
            or check_admission(schedule.namespace, spec, self.policy_of(schedule.namespace))
        )
        if problem is not None:
            return problem
        text: str | None = None
        reference = schedule.spec.report.template.config_map_ref
        if reference is not None:
            config_map = await self._templates.get((schedule.namespace, reference.name))
            text, problem = check_template(reference, config_map)
            if problem is not None:
                return problem
            found = await self.templates.problem(schedule.namespace, text)
            if found is not None:
                return template_problem(reference, found)
        definition = freeze_definition(schedule, text)
        size = len(definition.content.encode())
        if size > DEFINITION_LIMIT:
            return ReadyProblem(
                ReadyReason.DEFINITION_TOO_LARGE,
                f"spec.report and its template come to {size} bytes; a run's definition holds "
                f"{DEFINITION_LIMIT}: move inline rows to a database, or shorten the template",
            )
        return await self._apply(schedule, definition, previous, now)

    def forget(self, key: Key) -> None:
        """The schedule is gone."""
        self._applied.pop(key, None)

    async def _apply(
        self,
        schedule: ReportSchedule,
        definition: FrozenDefinition,
        previous: ReportScheduleStatus,
        now: datetime,
    ) -> ReadyProblem | None:
        live = self.store.cronjobs.get(schedule.key)
        name = names.cronjob_name(schedule.name)
        if live is None and name in await self._foreign.get(schedule.namespace):
            live = await self.kube.get(CRONJOBS, schedule.namespace, name)
        if live is not None and owner_uid(live) != schedule.uid:
            if owner_kind(live) == schedule.kind:
                # Left by a namesake that was deleted a moment ago; the garbage collector has it.
                raise PredecessorPresentError(schedule.name)
            return ReadyProblem(
                ReadyReason.NAME_CONFLICT,
                f"a CronJob {live['metadata']['name']} that is not ours exists in this namespace: "
                "rename the ReportSchedule, or delete that CronJob",
            )
        desired = desired_cronjob(
            schedule, definition, self.settings, counts_since(schedule, live, previous, now)
        )
        problem = await self._ensure_definition(schedule, definition, live, now)
        # A CronJob that somebody edited is put right even where the definition cannot be.
        if live is None:
            return await self._create(schedule, desired, previous.schedule_since) or problem
        if self._up_to_date(schedule.key, live, desired):
            self.store.observe_cronjob(live)
            return problem
        return await self._replace(schedule, live, desired, previous, now) or problem

    async def _ensure_definition(
        self,
        schedule: ReportSchedule,
        definition: FrozenDefinition,
        live: Body | None,
        now: datetime,
    ) -> ReadyProblem | None:
        expected = live is not None and definition_of(live) == definition.name
        found = await self.definitions.ensure(
            desired_config_map(schedule, definition), expected=expected
        )
        if found.condition is DefinitionCondition.RESTORED:
            self._warn(
                schedule,
                "DefinitionRestored",
                f"somebody replaced the ConfigMap {definition.name}, which says what runs do; it "
                "is put right. Runs refuse another definition than their own: retry those that "
                "failed with ConfigurationError, and find out who may write ConfigMaps here",
                now,
                found.foreign_uid,
            )
        for other in {
            run.definition
            for run in self.store.runs_of(schedule.uid)
            if run.definition and run.definition != definition.name and not run.finished
        }:
            if not await self.definitions.is_intact(schedule.namespace, other):
                self._warn(
                    schedule,
                    "DefinitionReplaced",
                    f"somebody replaced the ConfigMap {other}, which says what runs from before "
                    "the last edit do; they will refuse it with ConfigurationError. Find out who "
                    "may write ConfigMaps here",
                    now,
                    other,
                )
        if found.condition is not DefinitionCondition.CONTESTED:
            return None
        return ReadyProblem(
            ReadyReason.NAME_CONFLICT,
            f"a ConfigMap {definition.name} that is not ours stands where the definition of the "
            f"runs should be, and could not be removed: {found.obstacle}; delete it (runs refuse "
            "it meanwhile)",
        )

    async def _create(
        self, schedule: ReportSchedule, desired: Body, since_before: datetime | None
    ) -> ReadyProblem | None:
        try:
            answer = await self.kube.create(CRONJOBS, schedule.namespace, desired)
        except ApiError as error:
            return _refusal(error)
        if answer is None:
            # One that was not listed yet: the next attempt sees whose it is.
            raise PredecessorPresentError(schedule.name)
        if since_before is not None:
            # Deleted by somebody: slots since then are owed still.
            answer = await self._start_counting_at(answer, since_before)
        self._note(schedule.key, desired, answer)
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
        since = names.ANNOTATION_SINCE
        before, after = (body["metadata"].get("annotations") or {} for body in (live, desired))
        if not is_settled(schedule, previous) and before.get(since) != after[since]:
            await self._make_job_of_due_slot(live, desired, now)
            await self._start_counting_at(live, now)
        try:
            answer = await self.kube.json_patch(
                CRONJOBS, meta["namespace"], meta["name"], replacement(live, desired)
            )
        except ApiError as error:
            return _refusal(error)
        generation = answer["metadata"]["generation"]
        if was_ours and is_settled(schedule, previous) and generation != meta["generation"]:
            self._warn(
                schedule,
                "CronJobRestored",
                f"somebody edited the CronJob {meta['name']}; it is put right: what a "
                "ReportSchedule runs is decided by its own spec and the operator's configuration",
                now,
                str(generation),
            )
        self._note(schedule.key, desired, answer)
        return None

    def _note(self, key: Key, desired: Body, answer: Body) -> None:
        self._applied[key] = (_digest(desired), answer["metadata"]["generation"])
        self.store.observe_cronjob(answer)

    def _warn(
        self, schedule: ReportSchedule, reason: str, message: str, now: datetime, key: str
    ) -> None:
        logger.warning("%s: %s: %s", schedule.key, reason, message)
        about = {
            "apiVersion": API_VERSION,
            "kind": schedule.kind,
            "metadata": {
                "name": schedule.name,
                "namespace": schedule.namespace,
                "uid": schedule.uid,
            },
        }
        self.recorder.record(about, Transition(WARNING, reason, message, now, key))

    async def _read_foreign(self, namespace: str) -> frozenset[str]:
        """Names of CronJobs that are not in the store: not ours, or not heard of yet."""
        found = await self.kube.list(CRONJOBS, namespace, metadata_only=True)
        return frozenset(body["metadata"]["name"] for body in found)

    def _up_to_date(self, key: Key, live: Mapping[str, Any], desired: Body) -> bool:
        return holds_metadata(live["metadata"], desired["metadata"]) and (
            is_exact_spec(live["spec"], desired["spec"])
            or self._applied.get(key) == (_digest(desired), live["metadata"]["generation"])
        )

    def _was_applied(self, key: Key, live: Mapping[str, Any], desired: Body) -> bool:
        """Whether the CronJob was given this very spec before: then somebody else changed it."""
        applied, name = self._applied.get(key), names.ANNOTATION_APPLIED
        if applied is not None:
            return applied[0] == _digest(desired)
        annotations = live["metadata"].get("annotations") or {}
        return bool(annotations.get(name) == desired["metadata"]["annotations"][name])

    async def _make_job_of_due_slot(self, live: Body, desired: Body, now: datetime) -> None:
        """A slot that comes due at the moment of an edit is not passed over.

        Its Job is of the desired template: what stands in the live one may be somebody else's.
        """
        plan = observe_plan(live)
        if plan is None:
            return
        last = parse_time((live.get("status") or {}).get("lastScheduleTime"))
        within = timedelta(seconds=live["spec"].get("startingDeadlineSeconds") or 0)
        slot = slot_without_job(plan, [last] if last else (), within, now)
        if slot is None:
            return
        meta = live["metadata"]
        cronjob = {"metadata": meta, "spec": desired["spec"]}
        answer = await self.kube.create(JOBS, meta["namespace"], job_for_slot(cronjob, slot))
        if answer is not None:
            logger.info(
                "%s/%s: made the Job of the due slot %s before an edit",
                meta["namespace"],
                meta["name"],
                slot,
            )
            self.store.observe_job(answer)

    async def _start_counting_at(self, cronjob: Mapping[str, Any], instant: datetime) -> Body:
        """Tell the CronJob controller from when on slots count.

        Without it an edit or an unsuspend would at once start a slot that lies in the past.
        """
        meta = cronjob["metadata"]
        return await self.kube.patch(
            CRONJOBS,
            meta["namespace"],
            meta["name"],
            {"status": {"lastScheduleTime": format_time(instant)}},
            subresource="status",
        )


def _digest(body: Body) -> bytes:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


class PredecessorPresentError(Exception):
    """The CronJob of a deleted ReportSchedule of the same name is not collected yet."""

    status = 409


def _refusal(error: ApiError) -> ReadyProblem:
    if error.status in (400, 403, 422):
        return ReadyProblem(ReadyReason.API_ERROR, f"the CronJob was refused: {error.message}")
    raise error
