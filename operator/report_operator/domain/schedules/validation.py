"""What the schema cannot tell: problems that make `Ready` false, with field and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.domain.admission.queue import NamespacePolicy
from report_operator.domain.cron.rules import interval_problem
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse
from report_operator.domain.schedules.status import ReadyProblem
from report_runner.contract.definition import secret_refs
from report_runner.contract.report import ConfigMapKeyReference
from report_runner.contract.sql import query_problem
from report_runner.contract.templating import TEMPLATE_LIMIT, TemplateProblem

TEMPLATE_FIELD = "spec.report.template.configMapRef"


def check_schedule(spec: ReportScheduleSpec) -> ReadyProblem | None:
    """Schedule and time zone, in the CronJob controller's dialect."""
    try:
        problem = interval_problem(parse(spec.schedule).rule)
    except ScheduleError as error:
        problem = str(error)
    if problem:
        return ReadyProblem(ReadyReason.INVALID_SCHEDULE, f"spec.schedule: {problem}")
    try:
        load_zone(spec.time_zone)
    except ScheduleError as error:
        return ReadyProblem(ReadyReason.INVALID_TIME_ZONE, f"spec.timeZone: {error}")
    return None


def check_fires(spec: ReportScheduleSpec, now: datetime) -> ReadyProblem | None:
    """A right schedule may still name a day that never comes: the CronJob would wait in silence."""
    if parse(spec.schedule).next_after(now, load_zone(spec.time_zone)) is not None:
        return None
    return ReadyProblem(
        ReadyReason.INVALID_SCHEDULE,
        f"spec.schedule: {spec.schedule} has no slot within five years: is there such a day in "
        "such a month?",
    )


def check_secrets(spec: ReportScheduleSpec, allowed: Callable[[str], bool]) -> ReadyProblem | None:
    """Every Secret has to be on the operator's allowlist."""
    for field, name in secret_refs(spec.report, spec.delivery):
        if not allowed(name):
            return ReadyProblem(
                ReadyReason.SECRET_NOT_ALLOWED,
                f"{field}: runs may not mount the Secret {name}: the operator's configuration "
                "allows other names (allowedSecrets); rename the Secret or have it allowed",
            )
    return None


def check_queries(spec: ReportScheduleSpec) -> ReadyProblem | None:
    """Placeholders of queries: known, and nowhere where PostgreSQL would read them as text."""
    for number, source in enumerate(spec.report.sources):
        if source.postgres:
            problem = query_problem(source.postgres.query, spec.report.parameters)
            if problem is not None:
                return ReadyProblem(
                    ReadyReason.INVALID_SPEC,
                    f"spec.report.sources[{number}].postgres.query: {problem}",
                )
    return None


def check_admission(
    namespace: str, spec: ReportScheduleSpec, policy: NamespacePolicy
) -> ReadyProblem | None:
    """Tier and priority have to be such as the namespace may have."""
    for field, declared, counts, option, reason in (
        ("tier", spec.tier.value, policy.tier(spec.tier.value), "highestTier",
         ReadyReason.TIER_NOT_ALLOWED),
        ("priority", spec.priority.value, policy.priority(spec.priority.value), "highestPriority",
         ReadyReason.PRIORITY_NOT_ALLOWED),
    ):  # fmt: skip
        if declared != counts:
            return ReadyProblem(
                reason,
                f"spec.{field}: namespace {namespace} may have {counts} at most, not {declared}: "
                f"declare {counts}, or have {declared} allowed by the operator's configuration "
                f"(admission.namespaces.{namespace}.{option})",
            )
    return None


def check_template(
    reference: ConfigMapKeyReference, config_map: Mapping[str, Any] | None
) -> tuple[str, ReadyProblem | None]:
    """The template's text, and what is wrong with it. Whether it compiles is not asked here."""
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
    """Of a template that does not compile, or must not be compiled."""
    return ReadyProblem(
        ReadyReason.TEMPLATE_TOO_LARGE if found.too_large else ReadyReason.TEMPLATE_INVALID,
        f"{TEMPLATE_FIELD}: {reference.name}/{reference.key} {found}",
    )
