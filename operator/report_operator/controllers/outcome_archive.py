"""What the schedule controller asks of history: it never waits for PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.runs.run import Run


class OutcomeArchive(Protocol):
    """Answers from memory."""

    def pending(self, schedule_uid: str, job_uids: Sequence[str]) -> set[str]:
        """Those whose outcome is not known to be stored: their Jobs and entries stay."""

    def enqueue(
        self, body: Mapping[str, Any], recent: Sequence[RecentRun], runs: Sequence[Run]
    ) -> None:
        """A ReportSchedule as the API server has it, the outcomes in its status, and its runs."""


class NoArchive:
    """Used where no PostgreSQL is configured: outcomes are in status only."""

    def pending(self, schedule_uid: str, job_uids: Sequence[str]) -> set[str]:  # noqa: ARG002
        """Nothing is pending, so that pruning waits for nothing."""
        return set()

    def enqueue(
        self, body: Mapping[str, Any], recent: Sequence[RecentRun], runs: Sequence[Run]
    ) -> None:
        pass
