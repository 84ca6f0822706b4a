"""The custom resources: names, columns, and rules that only the API server checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from report_operator.api.v1alpha1 import backfill, backfill_spec, resource
from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import ReportBackfillStatus
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.cron.pattern import every_pattern
from report_operator.domain.cron.rules import EVERY_MESSAGE, LONGEST_EVERY, SHORTEST_EVERY
from report_operator.domain.cron.schedule import schema_pattern
from report_runner.contract.model import Model
from report_runner.contract.rules import quoted

Rules = Sequence[Mapping[str, str]]

SCHEDULE_MESSAGE = (
    "write a schedule in the CronJob dialect: five fields (minute 0-59, hour 0-23, day 1-31, "
    "month 1-12 or JAN-DEC, weekday 0-6 or SUN-SAT) such as '0 6 * * 1-5', or @hourly, @daily, "
    "@weekly, @monthly, @yearly, @every 1h"
)
ZONE_MESSAGE = "write the IANA name of a time zone, such as Europe/Madrid or Etc/UTC"
TZ_MESSAGE = "name the time zone in the field timeZone, not in the schedule"

# What only the API server checks by itself, Python by report_operator.domain.cron.schedule.
_ZONE_PART = "[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}"
SCHEDULE_RULES: Mapping[str, Rules] = {
    "schedule": (
        {"rule": "!self.contains('TZ')", "message": TZ_MESSAGE},
        {
            "rule": f"self.contains('TZ') || self.matches({quoted(schema_pattern())})",
            "message": SCHEDULE_MESSAGE,
        },
        {
            # What is no duration is refused by the rule above; duration() would fail.
            "rule": f"!self.matches({quoted(every_pattern())}) || "
            f"(duration(self.substring(7)) >= duration('{SHORTEST_EVERY}s') && "
            f"duration(self.substring(7)) < duration('{LONGEST_EVERY + 1}s'))",
            "message": EVERY_MESSAGE,
        },
    ),
    "timeZone": (
        {
            # getHours() takes an offset as well, and fails where there is no such zone.
            "rule": f"self.matches('^{_ZONE_PART}(/{_ZONE_PART})*$') && "
            "self.lowerAscii() != 'local' && "
            "timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",
            "message": ZONE_MESSAGE,
        },
    ),
}


def _unchangeable(model: type[Model], mutable: Sequence[str]) -> Rules:
    """A rule for each immutable field: only the API server sees the change."""
    rules = []
    for known in model.model_fields.values():
        name = known.alias or ""
        if name in mutable:
            continue
        same = f"self.{name} == oldSelf.{name}"
        rules.append(
            {
                "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})",
                "message": f"{name} cannot be changed, only {' and '.join(mutable)} can: delete "
                "the object and create another",
                "fieldPath": f".{name}",
            }
        )
    return rules


# name, type, JSON path, wide only
SCHEDULE_COLUMNS = (
    ("Schedule", "string", ".spec.schedule", False),
    ("Time Zone", "string", ".spec.timeZone", False),
    ("Suspended", "boolean", ".spec.suspend", False),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', False),
    ("Health", "string", ".status.health", False),
    ("Last Success", "date", ".status.lastSuccessTime", False),
    ("Last", "string", ".status.lastOutcome", False),
    # A string, since kubectl prints a date that is yet to come as <invalid>.
    ("Next", "string", ".status.nextScheduleTime", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("Type", "string", ".spec.reportType", True),
    ("Tier", "string", ".spec.tier", True),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', True),
    ("Last Run", "string", '.status.conditions[?(@.type=="Failing")].reason', True),
    ("Failures", "integer", ".status.consecutiveFailures", True),
    ("Delay", "string", ".status.delay.stage", True),
    ("Pending", "string", ".status.pending.reason", True),
    ("Queued", "integer", ".status.queued", True),
    ("Active", "integer", ".status.active", True),
    ("Waiting For Data", "integer", ".status.waitingForData", True),
)
BACKFILL_COLUMNS = (
    ("Progress", "string", ".status.progress", False),
    ("Failed", "integer", ".status.failed", False),
    ("Running", "integer", ".status.running", False),
    ("State", "string", ".status.state", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("From", "string", ".spec.startDate", True),
    ("To", "string", ".spec.endDate", True),
    ("Reprocess", "string", ".spec.reprocess", True),
    ("Cursor", "string", ".status.cursor.slot", True),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', True),
)


@dataclass(frozen=True, slots=True)
class CustomResource:
    """Names and models of a custom resource, and what the models cannot express."""

    kind: str
    plural: str
    singular: str
    short_names: Sequence[str]
    description: str
    spec: type[Model]
    status: type[Model]
    columns: Sequence[tuple[str, str, str, bool]]
    field_rules: Mapping[str, Rules] = field(default_factory=dict)
    spec_rules: Rules = ()

    @property
    def target(self) -> Path:
        """File of its CRD."""
        return Path("crds") / f"{resource.GROUP}_{self.plural}.yaml"


SCHEDULE = CustomResource(
    kind=resource.KIND,
    plural=resource.PLURAL,
    singular=resource.SINGULAR,
    short_names=resource.SHORT_NAMES,
    description="A business report and when it is due.",
    spec=ReportScheduleSpec,
    status=ReportScheduleStatus,
    columns=SCHEDULE_COLUMNS,
    field_rules=SCHEDULE_RULES,
)
BACKFILL = CustomResource(
    kind=backfill.KIND,
    plural=backfill.PLURAL,
    singular=backfill.SINGULAR,
    short_names=backfill.SHORT_NAMES,
    description="Runs of ReportSchedules for past dates.",
    spec=ReportBackfillSpec,
    status=ReportBackfillStatus,
    columns=BACKFILL_COLUMNS,
    spec_rules=_unchangeable(ReportBackfillSpec, backfill_spec.MUTABLE),
)
RESOURCES = (SCHEDULE, BACKFILL)
