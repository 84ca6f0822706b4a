"""Keeps the ConfigMap and the CronJob that a schedule owns as desired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from report_operator.adapters.kube.client import Body, KubeClient
from report_operator.adapters.kube.recorder import Recorder
from report_operator.adapters.kube.resources import CONFIGMAPS, CRONJOBS
from report_operator.adapters.kube.store import Store
from report_operator.adapters.template_checks import TemplateChecks
from report_operator.adapters.ttl_cache import TTLCache
from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.resource import Key, ReportSchedule
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.controllers.cronjobs import (
    CronJobWriter,
    PredecessorPresentError,
    record_warning,
)
from report_operator.controllers.definitions import DefinitionCondition, Definitions
from report_operator.domain import names
from report_operator.domain.admission.limits import NamespacePolicy
from report_operator.domain.schedules.calendar import Calendar, freeze
from report_operator.domain.schedules.calendar_checks import calendar_problem, check_dates
from report_operator.domain.schedules.cronjob import (
    counts_since,
    definition_of,
    is_of_predecessor,
)
from report_operator.domain.schedules.desired import (
    FrozenDefinition,
    desired_config_map,
    desired_cronjob,
    freeze_definition,
)
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.pods import PodSettings
from report_operator.domain.schedules.transitions import WARNING, Transition
from report_operator.domain.schedules.validation import (
    DefinitionObservation,
    SpecObservation,
    check_definition,
    check_spec,
    check_template,
    template_problem,
)
from report_runner.contract.egress import EgressPolicy

TEMPLATE_SECONDS = 20.0
UNKNOWN_SECONDS = 5.0


@dataclass(slots=True)
class OwnedResources:
    """Checks a schedule, and writes its definition and its CronJob."""

    kube: KubeClient
    store: Store
    settings: PodSettings
    secret_allowed: Callable[[str], bool]
    definitions: Definitions
    recorder: Recorder
    templates: TemplateChecks
    policy_of: Callable[[str], NamespacePolicy] = lambda _: NamespacePolicy()  # by namespace
    kueue: bool = False  # whether schedules may name a LocalQueue
    cronjobs: CronJobWriter = field(init=False)
    _templates: TTLCache[tuple[str, str], Body | None] = field(init=False)
    _unknown: TTLCache[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.cronjobs = CronJobWriter(self.kube, self.store, self.recorder)
        # ConfigMaps of templates and calendars are not watched: the next resync notices an edit.
        self._templates = TTLCache(
            lambda key: self.kube.get(CONFIGMAPS, *key), seconds=TEMPLATE_SECONDS
        )
        self._unknown = TTLCache(self._read_unknown, seconds=UNKNOWN_SECONDS)

    async def ensure(
        self, schedule: ReportSchedule, previous: ReportScheduleStatus, now: datetime
    ) -> ReadyProblem | None:
        """Write what differs, or say why the last valid definition stays in effect.

        Raises CheckPendingError while it is not known whether the template compiles, and
        PredecessorPresentError.
        """
        problem = check_spec(
            SpecObservation(
                schedule.namespace,
                schedule.spec,
                now,
                self.secret_allowed,
                self.policy_of(schedule.namespace),
                EgressPolicy.parse(self.settings.egress_allow),
                kueue=self.kueue,
            )
        )
        if problem is not None:
            return problem
        text, problem = await self._template_text(schedule)
        if problem is not None:
            return problem
        calendar, problem = await self._calendar(schedule, now)
        if problem is not None:
            return problem
        definition = freeze_definition(schedule, text, calendar)
        live = await self._live_cronjob(schedule)
        problem = check_definition(DefinitionObservation(schedule, definition, live))
        if problem is not None:
            return problem
        if live is not None and is_of_predecessor(schedule, live):
            raise PredecessorPresentError(schedule.name)
        since = counts_since(schedule, live, previous, now)
        desired = desired_cronjob(schedule, definition, self.settings, since, calendar)
        problem = await self._ensure_definition(schedule, definition, live, now)
        # A CronJob that somebody edited is restored even where the definition cannot be.
        return await self.cronjobs.ensure(schedule, live, desired, previous, now) or problem

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a deleted schedule."""
        self.cronjobs.forget(key)

    async def _template_text(
        self, schedule: ReportSchedule
    ) -> tuple[str | None, ReadyProblem | None]:
        """None for a built-in template."""
        reference = schedule.spec.report.template.config_map_ref
        if reference is None:
            return None, None
        config_map = await self._templates.get((schedule.namespace, reference.name))
        text, problem = check_template(reference, config_map)
        if problem is not None:
            return text, problem
        found = await self.templates.problem(schedule.namespace, text)
        if found is not None:
            return text, template_problem(reference, found)
        return text, None

    async def _calendar(
        self, schedule: ReportSchedule, now: datetime
    ) -> tuple[Calendar | None, ReadyProblem | None]:
        """None where the schedule has none."""
        spec = schedule.spec.calendar
        if spec is None or spec.config_map_ref is None:
            return freeze(spec) if spec else None, None
        reference = spec.config_map_ref
        config_map = await self._templates.get((schedule.namespace, reference.name))
        dates, problem = check_dates(reference, config_map)
        if problem is not None:
            return None, problem
        calendar = freeze(spec, dates)
        return calendar, calendar_problem(schedule.spec, calendar, now)

    async def _live_cronjob(self, schedule: ReportSchedule) -> Body | None:
        """The CronJob of the schedule's name, whoever owns it."""
        live = self.store.cronjobs.get(schedule.key)
        name = names.cronjob_name(schedule.name)
        if live is None and name in await self._unknown.get(schedule.namespace):
            return await self.kube.get(CRONJOBS, schedule.namespace, name)
        return live

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
            event = _definition_restored(definition.name, found.foreign_uid, now)
            record_warning(self.recorder, schedule, event)
        await self._check_older_definitions(schedule, definition, now)
        if found.condition is not DefinitionCondition.CONTESTED:
            return None
        return ReadyProblem(
            ReadyReason.NAME_CONFLICT,
            f"a ConfigMap {definition.name} that is not ours stands where the definition of the "
            f"runs should be, and could not be removed: {found.obstacle}; delete it (runs refuse "
            "it meanwhile)",
        )

    async def _check_older_definitions(
        self, schedule: ReportSchedule, definition: FrozenDefinition, now: datetime
    ) -> None:
        """Runs keep the definition with which they began."""
        for name in {
            run.definition
            for run in self.store.runs_of(schedule.uid)
            if run.definition and run.definition != definition.name and not run.finished
        }:
            if not await self.definitions.is_intact(schedule.namespace, name):
                record_warning(self.recorder, schedule, _definition_replaced(name, now))

    async def _read_unknown(self, namespace: str) -> frozenset[str]:
        """Names of all CronJobs of a namespace, also of those that the store does not hold."""
        found = await self.kube.list(CRONJOBS, namespace, metadata_only=True)
        return frozenset(body["metadata"]["name"] for body in found)


def _definition_restored(name: str, foreign_uid: str, now: datetime) -> Transition:
    return Transition(
        WARNING,
        "DefinitionRestored",
        f"somebody replaced the ConfigMap {name}, which says what runs do; it "
        "is put right. Runs refuse another definition than their own: retry those that "
        "failed with ConfigurationError, and find out who may write ConfigMaps here",
        now,
        foreign_uid,
    )


def _definition_replaced(name: str, now: datetime) -> Transition:
    return Transition(
        WARNING,
        "DefinitionReplaced",
        f"somebody replaced the ConfigMap {name}, which says what runs from before "
        "the last edit do; they will refuse it with ConfigurationError. Find out who "
        "may write ConfigMaps here",
        now,
        name,
    )
