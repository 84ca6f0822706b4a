"""Keeps a schedule's ConfigMap and CronJob as they should be."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from report_operator.adapters.cache import ShortCache
from report_operator.adapters.kinds import CONFIGMAPS, CRONJOBS, JOBS
from report_operator.adapters.kube import ApiError, Body, KubeClient
from report_operator.adapters.store import Store
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.resource import Key, ReportSchedule
from report_operator.domain import names
from report_operator.domain.admission import NamespacePolicy
from report_operator.domain.desired import (
    DEFINITION_LIMIT,
    FrozenDefinition,
    PodSettings,
    covers,
    desired_config_map,
    desired_cronjob,
    freeze_definition,
    job_for_slot,
)
from report_operator.domain.lateness import slot_without_job
from report_operator.domain.plan import observe_plan
from report_operator.domain.status import Problem
from report_operator.domain.times import format_time, parse_time
from report_operator.domain.validation import (
    check_admission,
    check_fires,
    check_queries,
    check_schedule,
    check_secrets,
    check_template,
)

logger = logging.getLogger(__name__)

TEMPLATE_SECONDS = 20.0
FOREIGN_SECONDS = 5.0


@dataclass(slots=True)
class Children:
    """Server-side apply, only where something differs."""

    kube: KubeClient
    store: Store
    settings: PodSettings
    secret_allowed: Callable[[str], bool]
    missing_definitions: set[tuple[str, str]]
    policy_of: Callable[[str], NamespacePolicy] = lambda _: NamespacePolicy()  # by namespace
    # What the server made of our last apply: it may write a quantity in another way than we do.
    # A digest of the desired CronJob, and the generation that it became.
    _applied: dict[Key, tuple[bytes, int]] = field(default_factory=dict)
    _templates: ShortCache[tuple[str, str], Body | None] = field(init=False)
    _foreign: ShortCache[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        # Template ConfigMaps are not watched: an edited one is noticed by the next resync.
        self._templates = ShortCache(
            lambda key: self.kube.get(CONFIGMAPS, *key), seconds=TEMPLATE_SECONDS
        )
        self._foreign = ShortCache(self._read_foreign, seconds=FOREIGN_SECONDS)

    async def ensure(
        self, schedule: ReportSchedule, since_before: datetime | None, now: datetime
    ) -> Problem | None:
        """Bring the children about, or say why the last good ones stay as they are."""
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
        definition = freeze_definition(schedule, text)
        size = len(definition.content.encode())
        if size > DEFINITION_LIMIT:
            return Problem(
                ReadyReason.DEFINITION_TOO_LARGE,
                f"spec.report and its template come to {size} bytes; a run's definition holds "
                f"{DEFINITION_LIMIT}: move inline rows to a database, or shorten the template",
            )
        return await self._apply(schedule, definition, since_before, now)

    def forget(self, key: Key) -> None:
        """The schedule is gone."""
        self._applied.pop(key, None)

    async def _apply(
        self,
        schedule: ReportSchedule,
        definition: FrozenDefinition,
        since_before: datetime | None,
        now: datetime,
    ) -> Problem | None:
        live = self.store.cronjobs.get(schedule.key)
        name = names.cronjob_name(schedule.name)
        if live is None and name in await self._foreign.get(schedule.namespace):
            live = await self.kube.get(CRONJOBS, schedule.namespace, name)
        if live is not None and _owner(live) != schedule.uid:
            if _owner_kind(live) == schedule.kind:
                # Left by a namesake that was deleted a moment ago; the garbage collector has it.
                raise PredecessorPresentError(schedule.name)
            return Problem(
                ReadyReason.NAME_CONFLICT,
                f"a CronJob {live['metadata']['name']} that is not ours exists in this namespace: "
                "rename the ReportSchedule, or delete that CronJob",
            )
        desired = desired_cronjob(
            schedule, definition, self.settings, _since(schedule, live, since_before, now)
        )
        if (
            live is None
            or _definition(live) != definition.name
            or self._is_missing(schedule.namespace, definition.name)
        ):
            await self.kube.create(
                CONFIGMAPS, schedule.namespace, desired_config_map(schedule, definition)
            )
            self.missing_definitions.discard((schedule.namespace, definition.name))
        if live is not None and self._up_to_date(schedule.key, live, desired):
            self.store.observe_cronjob(live)
            return None
        if live is not None and _restarts(live, desired):
            await self._make_job_of_due_slot(live, now)
            await self._start_counting_at(live, now)
        try:
            answer = await self.kube.apply(CRONJOBS, desired, force=live is not None)
        except ApiError as error:
            if error.status in (400, 403, 422):
                return Problem(ReadyReason.API_ERROR, f"the CronJob was refused: {error.message}")
            raise
        if live is None and since_before is not None:
            # Deleted by somebody: slots since then are owed still.
            await self._start_counting_at(answer, since_before)
        self._applied[schedule.key] = (_digest(desired), answer["metadata"]["generation"])
        self.store.observe_cronjob(answer)
        return None

    async def _read_foreign(self, namespace: str) -> frozenset[str]:
        """Names of CronJobs that are not in the store: not ours, or not heard of yet."""
        found = await self.kube.list(CRONJOBS, namespace, metadata_only=True)
        return frozenset(body["metadata"]["name"] for body in found)

    def _is_missing(self, namespace: str, name: str) -> bool:
        return (namespace, name) in self.missing_definitions

    def _up_to_date(self, key: Key, live: Mapping[str, Any], desired: Body) -> bool:
        if self._applied.get(key) == (_digest(desired), live["metadata"]["generation"]):
            return covers(live["metadata"], desired["metadata"])
        return covers(live, desired)

    async def _make_job_of_due_slot(self, live: Body, now: datetime) -> None:
        """A slot that comes due at the moment of an edit is not passed over."""
        plan = observe_plan(live)
        if plan is None:
            return
        last = parse_time((live.get("status") or {}).get("lastScheduleTime"))
        within = timedelta(seconds=live["spec"].get("startingDeadlineSeconds") or 0)
        slot = slot_without_job(plan, [last] if last else (), within, now)
        if slot is None:
            return
        meta = live["metadata"]
        answer = await self.kube.create(JOBS, meta["namespace"], job_for_slot(live, slot))
        if answer is not None:
            logger.info(
                "%s/%s: made the Job of the due slot %s before an edit",
                meta["namespace"],
                meta["name"],
                slot,
            )
            self.store.observe_job(answer)

    async def _start_counting_at(self, cronjob: Mapping[str, Any], instant: datetime) -> None:
        """Tell the CronJob controller from when on slots count.

        Without it an edit or an unsuspend would at once start a slot that lies in the past.
        """
        meta = cronjob["metadata"]
        await self.kube.patch(
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


def _owner(body: Mapping[str, Any]) -> str:
    return next(
        (o["uid"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")),
        "",
    )


def _owner_kind(body: Mapping[str, Any]) -> str:
    return next(
        (o["kind"] for o in body["metadata"].get("ownerReferences") or () if o.get("controller")),
        "",
    )


def _definition(cronjob: Mapping[str, Any]) -> str | None:
    template = cronjob["spec"]["jobTemplate"].get("metadata") or {}
    found: str | None = (template.get("annotations") or {}).get(names.ANNOTATION_DEFINITION)
    return found


def _since(
    schedule: ReportSchedule,
    live: Mapping[str, Any] | None,
    since_before: datetime | None,
    now: datetime,
) -> datetime:
    """From when on slots count: now for a new, edited or resumed schedule."""
    if live is None:
        return since_before or now
    spec = live["spec"]
    same = (
        spec["schedule"] == schedule.spec.schedule
        and spec.get("timeZone") == schedule.spec.time_zone
        and (spec.get("suspend", False) is False or schedule.spec.suspend)
    )
    text = (live["metadata"].get("annotations") or {}).get(names.ANNOTATION_SINCE)
    return (parse_time(text) if same else None) or now


def _restarts(live: Mapping[str, Any], desired: Body) -> bool:
    """Whether the controller would count from another moment than it did."""
    before = (live["metadata"].get("annotations") or {}).get(names.ANNOTATION_SINCE)
    after = desired["metadata"]["annotations"][names.ANNOTATION_SINCE]
    return bool(before != after)
