"""What API server and operator refuse of a ReportSchedule, as far as the object alone tells it.

For the preview, which has no API server: the rules in CEL are those of the models, and the corpus
in tests/contract holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from report_operator.api.v1alpha1.problems import listed
from report_operator.api.v1alpha1.resource import ReportSchedule
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.crd.definitions import SCHEDULE_MESSAGE, TZ_MESSAGE, ZONE_MESSAGE
from report_operator.domain.admission.limits import NamespacePolicy
from report_operator.domain.checks import first_problem
from report_operator.domain.cron.pattern import schema_pattern
from report_operator.domain.cron.rules import EVERY_MESSAGE
from report_operator.domain.schedules.calendar import freeze
from report_operator.domain.schedules.calendar_checks import check_dates
from report_operator.domain.schedules.desired import DEFINITION_LIMIT, freeze_definition
from report_operator.domain.schedules.validation import (
    CONTENT_CHECKS,
    SYNTAX_CHECKS,
    SpecObservation,
)
from report_runner.contract.days_off import DaysOff

SCHEDULE_FIELD, ZONE_FIELD = "spec.schedule", "spec.timeZone"


def spec_problems(spec: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Field and message of each problem."""
    try:
        parsed = ReportScheduleSpec.model_validate(spec)
    except ValidationError as error:
        return listed(error, "spec", ReportScheduleSpec, spec, values=False)
    observation = SpecObservation("", parsed, now, lambda _: True, NamespacePolicy())
    found = first_problem(SYNTAX_CHECKS, observation)
    if found is not None:
        field, _, detail = found.message.partition(": ")
        if field not in (SCHEDULE_FIELD, ZONE_FIELD):
            return [(field, detail)]
        message = ZONE_MESSAGE if field == ZONE_FIELD else SCHEDULE_MESSAGE
        every = parsed.schedule.startswith("@every")
        if every and re.search(schema_pattern(), parsed.schedule):
            return [(field, EVERY_MESSAGE)]
        if field == SCHEDULE_FIELD and "TZ" in parsed.schedule:
            message = TZ_MESSAGE
        return [(field, f"{message} ({detail})")]
    problems = [check(observation) for check in CONTENT_CHECKS]
    parts = [problem.message.partition(": ") for problem in problems if problem is not None]
    return [(field, message) for field, _, message in parts]


def calendar_of(
    spec: Mapping[str, Any], find: Callable[[str], Mapping[str, Any] | None]
) -> tuple[DaysOff | None, str]:
    """The days off of a valid spec, and what is wrong with its ConfigMap, which `find` gets."""
    parsed = ReportScheduleSpec.model_validate(spec).calendar
    if parsed is None or parsed.config_map_ref is None:
        return (freeze(parsed).days_off() if parsed else None), ""
    dates, problem = check_dates(parsed.config_map_ref, find(parsed.config_map_ref.name))
    if problem is not None:
        return None, problem.message
    return freeze(parsed, dates).days_off(), ""


def definition_problem(
    namespace: str, name: str, spec: Mapping[str, Any], template: str | None
) -> str | None:
    """Whether the definition of a valid spec is larger than what a run is given."""
    parsed = ReportScheduleSpec.model_validate(spec)
    schedule = ReportSchedule(namespace, name, uid="", generation=1, spec=parsed)
    size = len(freeze_definition(schedule, template).content.encode())
    if size <= DEFINITION_LIMIT:
        return None
    return (
        f"the report and its template come to {size} bytes; a run's definition holds "
        f"{DEFINITION_LIMIT}: move inline rows to a database, or shorten the template"
    )
