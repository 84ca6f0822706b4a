"""A person's word that failed slots need no report any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.times import parse_time


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`through` is the newest slot that needs no report; `ignored` an instant that says nothing.

    An instant that was to come when it was written is no word about a slot, then or later: it would
    silence failures that nobody has seen.
    """

    through: datetime | None = None
    ignored: datetime | None = None


def read_acknowledgement(
    meta: Mapping[str, Any], previous: ReportScheduleStatus, now: datetime
) -> Acknowledgement:
    """What the annotation says; what was said before stays when the annotation goes."""
    text = (meta.get("annotations") or {}).get(names.ANNOTATION_ACKNOWLEDGED)
    through = previous.acknowledged_through
    try:
        said = parse_time(text)
    except ValueError:
        said = None
    if said is None:
        return Acknowledgement(through)
    said = said.replace(microsecond=0)
    if said > now or said == previous.ignored_acknowledgement:
        return Acknowledgement(through, said)
    return Acknowledgement(max(said, through) if through else said)
