"""Problems that the schema cannot find: each makes `Ready` false, with field and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.resource import ReportSchedule
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.domain.admission.limits import NamespacePolicy
from report_operator.domain.checks import first_problem
from report_operator.domain.cron.rules import interval_problem
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse
from report_operator.domain.schedules.calendar import freeze
from report_operator.domain.schedules.calendar_checks import CALENDAR_FIELD, calendar_problem
from report_operator.domain.schedules.cronjob import is_of_predecessor, is_orphan, owner_uid
from report_operator.domain.schedules.desired import DEFINITION_LIMIT, FrozenDefinition
from report_operator.domain.schedules.observation import ReadyProblem
from report_runner.contract.cross_checks import report_problem
from report_runner.contract.days_off import origin_problem
from report_runner.contract.definition import secret_refs
from report_runner.contract.egress import ALLOW_OPTION, PUBLIC_ALONE, EgressPolicy
from report_runner.contract.http_source import url_parts
from report_runner.contract.parameters import raw_values
from report_runner.contract.report import ConfigMapKeyReference
from report_runner.contract.sql import query_problem
from report_runner.contract.sql_mysql import unknown_placeholder
from report_runner.contract.templating import TEMPLATE_LIMIT, TemplateProblem
from report_runner.contract.waiting import until_problem

TEMPLATE_FIELD = "spec.report.template.configMapRef"


@dataclass(frozen=True, slots=True)
class SpecObservation:
    """A spec, and what the operator's configuration says about its namespace."""

    namespace: str
    spec: ReportScheduleSpec
    now: datetime
    secret_allowed: Callable[[str], bool]
    policy: NamespacePolicy
    egress: EgressPolicy = PUBLIC_ALONE
    kueue: bool = False  # whether a LocalQueue of Kueue may be named


def check_spec(observation: SpecObservation) -> ReadyProblem | None:
    """The first problem of a spec; None for one that can be put into effect."""
    return first_problem(SPEC_CHECKS, observation)


def _schedule_is_valid(observation: SpecObservation) -> ReadyProblem | None:
    try:
        problem = interval_problem(parse(observation.spec.schedule).rule)
    except ScheduleError as error:
        problem = str(error)
    if problem:
        return ReadyProblem(ReadyReason.INVALID_SCHEDULE, f"spec.schedule: {problem}")
    return None


def _time_zone_exists(observation: SpecObservation) -> ReadyProblem | None:
    try:
        load_zone(observation.spec.time_zone)
    except ScheduleError as error:
        return ReadyProblem(ReadyReason.INVALID_TIME_ZONE, f"spec.timeZone: {error}")
    return None


def _schedule_fires(observation: SpecObservation) -> ReadyProblem | None:
    spec = observation.spec
    zone = load_zone(spec.time_zone)
    if parse(spec.schedule).next_after(observation.now, zone) is not None:
        return None
    return ReadyProblem(
        ReadyReason.INVALID_SCHEDULE,
        f"spec.schedule: {spec.schedule} has no slot within five years: is there such a day in "
        "such a month?",
    )


def _calendar_is_known(observation: SpecObservation) -> ReadyProblem | None:
    calendar = observation.spec.calendar
    if calendar is None:
        return None
    found = origin_problem(
        calendar.country or "", calendar.subdivision or "", calendar.market or ""
    )
    if found is None:
        return None
    return ReadyProblem(
        ReadyReason.INVALID_SPEC, f"{CALENDAR_FIELD}.{found.field}: {found.message}"
    )


def _calendar_leaves_slots(observation: SpecObservation) -> ReadyProblem | None:
    calendar = observation.spec.calendar
    if calendar is None or calendar.config_map_ref is not None:
        return None  # of a ConfigMap the dates are checked when they are read
    return calendar_problem(observation.spec, freeze(calendar), observation.now)


def _secrets_are_allowed(observation: SpecObservation) -> ReadyProblem | None:
    for field, name in secret_refs(observation.spec.report, observation.spec.delivery):
        if not observation.secret_allowed(name):
            return ReadyProblem(
                ReadyReason.SECRET_NOT_ALLOWED,
                f"{field}: runs may not mount the Secret {name}: the operator's configuration "
                "allows other names (allowedSecrets); rename the Secret or have it allowed",
            )
    return None


def _addresses_are_allowed(observation: SpecObservation) -> ReadyProblem | None:
    """What a URL tells by itself; where a name leads is judged by each run."""
    for field, url in _urls(observation.spec):
        _, host, port = url_parts(url)
        problem = observation.egress.literal_refusal(host, port)
        if problem is not None:
            return ReadyProblem(
                ReadyReason.INVALID_SPEC,
                f"{field}: runs may not connect to {host}, {problem}: write another address, or "
                f"have it allowed by the operator's configuration ({ALLOW_OPTION})",
            )
    return None


def _urls(spec: ReportScheduleSpec) -> Iterator[tuple[str, str]]:
    for source in spec.report.sources:
        for field, url in source.urls():
            yield f"spec.report.sources[{source.name}].{field}", url
    for place in spec.delivery.upload.to if spec.delivery.upload else ():
        for field, url in place.urls():
            yield f"spec.delivery.upload.to[{place.name}].{field}", url


def _placeholders_are_valid(observation: SpecObservation) -> ReadyProblem | None:
    report = observation.spec.report
    for source in report.sources:
        for field, text in source.sql_texts():
            # How the database of a URL quotes is told by its Secret, which is not read here.
            check = unknown_placeholder if field == "sql.query" else query_problem
            problem = check(text, raw_values(report))
            if problem is not None:
                return ReadyProblem(
                    ReadyReason.INVALID_SPEC,
                    f"spec.report.sources[{source.name}].{field}: {problem}",
                )
    return None


def _report_is_consistent(observation: SpecObservation) -> ReadyProblem | None:
    problem = report_problem(observation.spec.report)
    if problem is None:
        return None
    field, message = problem
    return ReadyProblem(ReadyReason.INVALID_SPEC, f"{field}: {message}")


def _tier_is_allowed(observation: SpecObservation) -> ReadyProblem | None:
    declared = observation.spec.tier.value
    allowed = observation.policy.tier(declared)
    if declared == allowed:
        return None
    return ReadyProblem(
        ReadyReason.TIER_NOT_ALLOWED,
        _not_allowed(observation.namespace, "tier", declared, allowed, "highestTier"),
    )


def _wait_for_knows_its_names(observation: SpecObservation) -> ReadyProblem | None:
    report = observation.spec.report
    problem = until_problem(report.wait_for, report.parameters) if report.wait_for else None
    if problem is None:
        return None
    return ReadyProblem(ReadyReason.INVALID_SPEC, f"spec.report.waitFor.until: {problem}")


def _priority_is_allowed(observation: SpecObservation) -> ReadyProblem | None:
    declared = observation.spec.priority.value
    allowed = observation.policy.priority(declared)
    if declared == allowed:
        return None
    return ReadyProblem(
        ReadyReason.PRIORITY_NOT_ALLOWED,
        _not_allowed(observation.namespace, "priority", declared, allowed, "highestPriority"),
    )


def _queue_is_allowed(observation: SpecObservation) -> ReadyProblem | None:
    queue = observation.spec.queue_name
    if queue is None or observation.kueue:
        return None
    return ReadyProblem(
        ReadyReason.INVALID_SPEC,
        f"spec.queueName: the operator hands no runs to Kueue: leave {queue} out, or have it "
        "allowed by the operator's configuration (kueue.enabled)",
    )


def _not_allowed(namespace: str, field: str, declared: str, allowed: str, option: str) -> str:
    return (
        f"spec.{field}: namespace {namespace} may have {allowed} at most, not {declared}: "
        f"declare {allowed}, or have {declared} allowed by the operator's configuration "
        f"(admission.namespaces.{namespace}.{option})"
    )


Check = Callable[[SpecObservation], ReadyProblem | None]

# What the spec alone tells: the preview asks these too.
SYNTAX_CHECKS: tuple[Check, ...] = (
    _schedule_is_valid,  # in the CronJob controller's dialect
    _time_zone_exists,
    _calendar_is_known,  # to the library
)
CONTENT_CHECKS: tuple[Check, ...] = (
    _calendar_leaves_slots,  # else there would never be a report
    _schedule_fires,  # 31 February is valid, and the CronJob would wait for it in silence
    _report_is_consistent,  # names in expressions; parameters of the right type
    _placeholders_are_valid,  # known, and nowhere where a database would read them as text
    _wait_for_knows_its_names,  # an expression with a typo would fail each run
)
SPEC_CHECKS: tuple[Check, ...] = (
    *SYNTAX_CHECKS,
    *CONTENT_CHECKS,
    _secrets_are_allowed,  # by the operator's allowlist
    _addresses_are_allowed,
    _tier_is_allowed,  # in this namespace
    _priority_is_allowed,
    _queue_is_allowed,  # else its runs would wait for what is not there
)


@dataclass(frozen=True, slots=True)
class DefinitionObservation:
    """What is to be written, and the CronJob that has its name already, if any."""

    schedule: ReportSchedule
    definition: FrozenDefinition
    live: Mapping[str, Any] | None


def check_definition(observation: DefinitionObservation) -> ReadyProblem | None:
    """The first obstacle to writing ConfigMap and CronJob."""
    return first_problem(DEFINITION_CHECKS, observation)


def _definition_fits(observation: DefinitionObservation) -> ReadyProblem | None:
    size = len(observation.definition.content.encode())
    if size <= DEFINITION_LIMIT:
        return None
    return ReadyProblem(
        ReadyReason.DEFINITION_TOO_LARGE,
        f"spec.report and its template come to {size} bytes; a run's definition holds "
        f"{DEFINITION_LIMIT}: move inline rows to a database, or shorten the template",
    )


def _name_is_free(observation: DefinitionObservation) -> ReadyProblem | None:
    schedule, live = observation.schedule, observation.live
    if live is None or owner_uid(live) == schedule.uid:
        return None
    if is_of_predecessor(schedule, live) or is_orphan(schedule, live):
        return None
    return ReadyProblem(
        ReadyReason.NAME_CONFLICT,
        f"a CronJob {live['metadata']['name']} that is not ours exists in this namespace: "
        "rename the ReportSchedule, or delete that CronJob",
    )


DEFINITION_CHECKS: tuple[Callable[[DefinitionObservation], ReadyProblem | None], ...] = (
    _definition_fits,  # into a ConfigMap
    _name_is_free,  # no CronJob of somebody else is in the place of ours
)


def check_template(
    reference: ConfigMapKeyReference, config_map: Mapping[str, Any] | None
) -> tuple[str, ReadyProblem | None]:
    """The template's text, and what is wrong with it. Whether it compiles is not checked here."""
    if config_map is None:
        return "", ReadyProblem(
            ReadyReason.TEMPLATE_NOT_FOUND,
            f"{TEMPLATE_FIELD}.name: ConfigMap {reference.name} does not exist in this namespace; "
            "create it or correct the name",
        )
    data: Mapping[str, str] = config_map.get("data") or {}
    if reference.key not in data:
        # The keys that it has are not for everybody who reads the schedule's status.
        return "", ReadyProblem(
            ReadyReason.TEMPLATE_NOT_FOUND,
            f"{TEMPLATE_FIELD}.key: ConfigMap {reference.name} has no key {reference.key} under "
            "data; add the template under that key, or correct the key",
        )
    text = data[reference.key]
    size = len(text.encode())
    if size > TEMPLATE_LIMIT:
        return "", ReadyProblem(
            ReadyReason.TEMPLATE_TOO_LARGE,
            f"{TEMPLATE_FIELD}: the template has {size} bytes, the limit is {TEMPLATE_LIMIT}; "
            "embed smaller images, and take data from sources instead",
        )
    return text, None


def template_problem(reference: ConfigMapKeyReference, found: TemplateProblem) -> ReadyProblem:
    """The problem of a template that does not compile, or must not be compiled."""
    return ReadyProblem(
        ReadyReason.TEMPLATE_TOO_LARGE if found.too_large else ReadyReason.TEMPLATE_INVALID,
        f"{TEMPLATE_FIELD}: {reference.name}/{reference.key} {found}",
    )
