"""A person's word that failed slots need no report any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.times import parse_time


def acknowledged_through(
    meta: Mapping[str, Any], previous: ReportScheduleStatus, now: datetime
) -> datetime | None:
    """The newest slot that was acknowledged; it stays when the annotation goes.

    An instant to come is no word about a slot: it would silence failures that nobody has seen.
    """
    text = (meta.get("annotations") or {}).get(names.ANNOTATION_ACKNOWLEDGED)
    try:
        said = parse_time(text)
    except ValueError:
        said = None
    known = [previous.acknowledged_through, said if said and said <= now else None]
    return max((instant for instant in known if instant), default=None)
