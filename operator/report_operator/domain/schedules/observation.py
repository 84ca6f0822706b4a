"""All that a decision about one ReportSchedule is made from: collected first, then frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.api.v1alpha1.spec import ReportScheduleSpec
from report_operator.api.v1alpha1.status import ActiveRun, ReportScheduleStatus
from report_operator.domain.runs.cause import Cause
from report_operator.domain.runs.observed import ObservedRun
from report_operator.domain.schedules.acknowledgement import Acknowledgement
from report_operator.domain.schedules.cronjob import definition_of
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.problems import ScheduleBrief


@dataclass(frozen=True, slots=True)
class ReadyProblem:
    """Why the definition is not in effect."""

    reason: ReadyReason
    message: str


@dataclass(frozen=True, slots=True)
class RefusedSlot:
    """The API server would not take the Job of a slot, and why.

    The operator asked it to for a missed slot (`catch_up`), else the CronJob controller.
    """

    slot: datetime
    cause: Cause
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class RunRequests:
    """Values of the annotations that ask for a run (schedules/requests.py); '' for none.

    `refused` is why the API server took no Job for one, by what the Job would have said of who
    asks.
    """

    run: str = ""
    retry: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """`spec` is None where it is invalid, `cronjob` and `plan` while there is no CronJob of ours.

    Each run that should have started and did not has a `pending_reason`, where one is known.
    """

    now: datetime
    generation: int
    previous: ReportScheduleStatus
    spec: ReportScheduleSpec | None
    problem: ReadyProblem | None
    cronjob: Mapping[str, Any] | None
    plan: Plan | None
    runs: Sequence[ObservedRun]
    missing: Sequence[ActiveRun] = ()  # were under way and have no Job any more
    awaited: Sequence[ActiveRun] = ()  # likewise, a moment ago: what replaces them may still come
    created_at: datetime | None = None
    acknowledgement: Acknowledgement = field(default_factory=Acknowledgement)
    refused: RefusedSlot | None = None
    brief: ScheduleBrief | None = None
    requests: RunRequests = field(default_factory=RunRequests)
    uncounted: frozenset[str] = frozenset()  # uids of recorded runs a backfill has yet to count
    pending_records: frozenset[str] = frozenset()  # uids of runs that history does not have yet

    @property
    def cronjob_name(self) -> str | None:
        """None while there is no CronJob."""
        return self.cronjob["metadata"]["name"] if self.cronjob else None

    @property
    def definition(self) -> str | None:
        """Name of the definition in effect."""
        return definition_of(self.cronjob) if self.cronjob else None

    @property
    def recorded(self) -> frozenset[str]:
        """Uids of the runs whose outcome is in status."""
        return frozenset(entry.uid for entry in self.previous.recent_runs)

    @property
    def pending(self) -> ObservedRun | None:
        """The oldest run of which is known what keeps it from starting."""
        return next((observed for observed in self.runs if observed.pending_reason), None)
