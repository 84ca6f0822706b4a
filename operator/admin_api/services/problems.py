"""A schedule's problems with the runbook's remedy for each, computed without I/O.

What is a problem is judged by the operator's domain, whose words `kubectl describe` shows as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from admin_api import runbook
from admin_api.runbook import Remedy
from admin_api.services.jobs import ScheduleSummary
from report_operator.api.v1alpha1.status import DelayStage
from report_operator.domain.schedules.problems import (
    Problem,
    ProblemKind,
    ScheduleFacts,
    problems_of,
)
from report_runner.contract.reasons import Reason

_LINK = re.compile(r"\[([^]]*)\]\(#[^)]*\)")
_RESUME = Remedy("It is suspended", "Resume it, where its reports are wanted")
_MAKE = Remedy("Slots passed without a run", "Make their reports, where they are still wanted")


@dataclass(frozen=True, slots=True)
class RemediedProblem:
    """A problem, and what helps: Markdown, as in docs/runbook.md."""

    problem: Problem
    remedy: Remedy | None

    @property
    def action(self) -> str:
        """What helps, as plain text."""
        if self.remedy is None:
            return "See docs/runbook.md"
        return _LINK.sub(r'docs/runbook.md, "\1"', self.remedy.action).replace("`", "")


def with_remedies(schedule: ScheduleSummary) -> list[RemediedProblem]:
    """The gravest first."""
    facts = schedule.facts
    return [RemediedProblem(problem, remedy_of(facts, problem)) for problem in problems_of(facts)]


def remedy_of(facts: ScheduleFacts, problem: Problem) -> Remedy | None:
    found, job = _remedy(facts, problem)
    brief = facts.brief
    return found.of(brief.namespace, brief.name, job) if found is not None else None


def _remedy(facts: ScheduleFacts, problem: Problem) -> tuple[Remedy | None, str | None]:
    """The runbook's, and the Job that it is about."""
    pending = facts.status.pending
    match problem.kind:
        case ProblemKind.FAILING | ProblemKind.NOT_STARTING:
            known = problem.reason in {reason.value for reason in Reason}
            return (runbook.FAILURES[Reason(problem.reason)] if known else None), problem.job
        case ProblemKind.NOT_READY:
            return runbook.NOT_READY, None
        case ProblemKind.LATE:
            if pending is not None and pending.slot == problem.slot:
                return runbook.FAILURES[pending.reason], pending.job
            return runbook.DELAYS[DelayStage(problem.reason)], problem.job
        case ProblemKind.MISSED:
            return _MAKE, None
        case ProblemKind.SUSPENDED:
            return _RESUME, None
