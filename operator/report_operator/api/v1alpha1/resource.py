"""The custom resource as a whole: names, and reading one that the API server sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from report_operator.api.v1alpha1.problems import describe
from report_operator.api.v1alpha1.salvage import without_unreadable
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.api.v1alpha1.status import ReportScheduleStatus

GROUP = "reports.adaf.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ReportSchedule"
PLURAL = "reportschedules"
SINGULAR = "reportschedule"
SHORT_NAMES = ("reportsched", "rsched")  # "rs" is the ReplicaSet's


class SpecError(ValueError):
    """A spec that the models refuse; the message names each field and what is wrong there."""


class Key(NamedTuple):
    """A ReportSchedule by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ReportSchedule:
    """A ReportSchedule whose spec is right."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: ReportScheduleSpec
    kind: str = KIND

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


def parse_schedule(body: Mapping[str, Any]) -> ReportSchedule:
    """The API server's JSON → ReportSchedule. Raises SpecError."""
    meta = body["metadata"]
    try:
        spec = ReportScheduleSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise SpecError(describe(error, "spec", ReportScheduleSpec, body.get("spec"))) from error
    return ReportSchedule(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta["generation"],
        spec=spec,
    )


def parse_status(body: Mapping[str, Any]) -> ReportScheduleStatus:
    """The status, as far as it can be read; an empty one where there is none yet.

    One run with a reason of a later version is no cause to forget all others.
    """
    status = body.get("status") or {}
    try:
        return ReportScheduleStatus.model_validate(status)
    except ValidationError as error:
        if not isinstance(status, dict):
            return ReportScheduleStatus()
        kept = without_unreadable(status, error)
    try:
        return ReportScheduleStatus.model_validate(kept)
    except ValidationError:
        return ReportScheduleStatus()
