"""ReportBackfill: runs for the slots of past dates, asked for once, worked off behind the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import ReportBackfillStatus
from report_operator.api.v1alpha1.problems import describe
from report_operator.api.v1alpha1.resource import SpecError
from report_operator.api.v1alpha1.salvage import without_unreadable

KIND = "ReportBackfill"
PLURAL = "reportbackfills"
SINGULAR = "reportbackfill"
SHORT_NAMES = ("rbf",)
TOLD_ONLY = ("conditions", "lastFailures")  # of the status


def parse_backfill_spec(body: Mapping[str, Any]) -> ReportBackfillSpec:
    """The API server's JSON → its spec. Raises SpecError."""
    try:
        return ReportBackfillSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise SpecError(describe(error, "spec", ReportBackfillSpec, body.get("spec"))) from error


def parse_backfill_status(body: Mapping[str, Any]) -> ReportBackfillStatus:
    """The status; an empty one where there is none yet. Raises ValidationError.

    One that cannot be read is no empty one: what was counted would be counted again. Only what
    nothing is decided from may be of a later version.
    """
    status = body.get("status") or {}
    try:
        return ReportBackfillStatus.model_validate(status)
    except ValidationError as error:
        kept = without_unreadable(status, error, TOLD_ONLY)
    return ReportBackfillStatus.model_validate(kept)
