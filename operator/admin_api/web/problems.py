"""Schedules that need attention, and their grouping by cause, computed without I/O."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from admin_api.runbook import Remedy
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.problems import with_remedies
from report_operator.api.v1alpha1.status import DelayStage
from report_operator.domain.schedules.problems import ProblemKind, affected_by
from report_runner.contract.reasons import Reason

MESSAGES = 3  # different ones that a group shows

# One outage fails many reports by these, whatever each message names. By any other reason a
# report fails on its own account: two belong together only where they say the same.
SHARED_CAUSES = {
    Reason.DATABASE_UNAVAILABLE.value,
    Reason.STORAGE_UNAVAILABLE.value,
    Reason.EXTERNAL_SOURCE_UNAVAILABLE.value,
    Reason.DELIVERY_FAILED.value,
    Reason.IMAGE_UNAVAILABLE.value,
    Reason.NODE_LOST.value,
    Reason.QUEUE_TIMEOUT.value,
    DelayStage.NOT_CREATED.value,
    DelayStage.QUEUED.value,
}
# What differs between two messages of one cause.
_SOURCE = re.compile(r"\bsources\[[^\]]*\]")
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?|\b\d\d:\d\d(?::\d\d)?\b")
_AMOUNT = re.compile(
    r"\b\d+(?:\.\d+)? ?(?:ms|s|min|h|d|seconds?|minutes?|hours?|rows?|[KMG]i?B?)\b"
)


SHOWN_FIRST = (
    ProblemKind.FAILING,
    ProblemKind.LATE,
    ProblemKind.NOT_STARTING,
    ProblemKind.NOT_READY,
)


@dataclass(frozen=True, slots=True)
class ProblemDetail:
    """A problem that the page shows; `newest` is the newest failure, else it is `since`."""

    kind: ProblemKind
    reason: str
    message: str
    since: datetime
    newest: datetime
    command: str  # what to type next
    affected: str
    slot: datetime | None = None
    times: int = 1  # in a row
    remedy: Remedy | None = None
    job: str | None = None  # the Kubernetes Job to look at


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """A schedule that needs attention; `run` is the one to open."""

    schedule: ScheduleSummary
    problems: tuple[ProblemDetail, ...]
    run: Job | None

    @property
    def gravest(self) -> ProblemDetail:
        return self.problems[0]


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """Schedules with one cause, the newest failure first; a schedule is in one group only."""

    members: Sequence[ScheduleProblem]

    @property
    def first(self) -> ScheduleProblem:
        return self.members[0]

    @property
    def id(self) -> str:
        """Stable while the cause is the same."""
        text = "\0".join(cause_of(self.first))
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]

    @property
    def since(self) -> datetime:
        return min(member.gravest.since for member in self.members)

    @property
    def newest(self) -> datetime:
        return max(member.gravest.newest for member in self.members)

    @property
    def recipients(self) -> int:
        return sum(member.schedule.recipients for member in self.members)

    @property
    def messages(self) -> list[tuple[str, int]]:
        """The most frequent ones, and how many schedules say so.

        Those that differ in names, instants and amounts alone are one, with … in their place.
        """
        return [(self._text(alike), len(alike)) for alike in self._alike()[:MESSAGES]]

    @property
    def other_messages(self) -> int:
        """How many schedules have none of `messages`."""
        return sum(len(alike) for alike in self._alike()[MESSAGES:])

    @staticmethod
    def _text(alike: Sequence[ScheduleProblem]) -> str:
        texts = {member.gravest.message for member in alike}
        return texts.pop() if len(texts) == 1 else _without_names(alike[0])

    def _alike(self) -> list[list[ScheduleProblem]]:
        """Members by what they say, the most frequent first."""
        found: dict[str, list[ScheduleProblem]] = {}
        for member in self.members:
            if member.gravest.message:
                found.setdefault(_without_names(member), []).append(member)
        return sorted(found.values(), key=len, reverse=True)

    @property
    def tiers(self) -> list[tuple[str, int]]:
        return sorted(Counter(member.schedule.tier for member in self.members).items())

    @property
    def failed_runs(self) -> list[Job]:
        """What one retry of the group would try again."""
        return [
            member.run
            for member in self.members
            if member.gravest.kind is ProblemKind.FAILING
            and member.run is not None
            and member.run.status is JobStatus.FAILED
        ]


def cause_of(problem: ScheduleProblem) -> tuple[str, str, str]:
    """Kind, reason, and what the message says apart from names, instants and amounts."""
    gravest = problem.gravest
    if gravest.reason in SHARED_CAUSES:
        return gravest.kind.value, gravest.reason, ""
    return gravest.kind.value, gravest.reason, _without_names(problem)


def _without_names(problem: ScheduleProblem) -> str:
    schedule, text = problem.schedule, problem.gravest.message
    for name in filter(None, (problem.gravest.job, schedule.name, schedule.namespace)):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "…", text)
    return _AMOUNT.sub("…", _INSTANT.sub("…", _SOURCE.sub("sources[…]", text)))


def group_problems(problems: Iterable[ScheduleProblem]) -> list[ProblemGroup]:
    """Grouped by cause: the newest failure first, in the groups and among them.

    Then what is late, then what is not ready, the newest first as well.
    """
    found: dict[tuple[str, str, str], list[ScheduleProblem]] = {}
    for problem in sorted(problems, key=lambda p: p.gravest.newest, reverse=True):
        found.setdefault(cause_of(problem), []).append(problem)
    groups = [ProblemGroup(members) for members in found.values()]
    return sorted(groups, key=lambda group: SHOWN_FIRST.index(group.first.gravest.kind))


def find_problems(
    schedules: Iterable[ScheduleSummary], jobs: Mapping[tuple[str, str], Job]
) -> list[ScheduleProblem]:
    """Schedules that fail, are late or not Ready, in the order of `schedules`.

    `jobs` is keyed by namespace and name of the Kubernetes Job.
    """
    found = []
    for schedule in schedules:
        problems = problems_of(schedule)
        if problems:
            names = (p.job for p in problems if p.job is not None)
            keys = ((schedule.namespace, name) for name in names)
            run = next((jobs[key] for key in keys if key in jobs), None)
            found.append(ScheduleProblem(schedule, problems, run))
    return found


def problems_of(schedule: ScheduleSummary) -> tuple[ProblemDetail, ...]:
    """The gravest first; slots that were missed and suspension are shown otherwise."""
    problems = with_remedies(schedule)
    if not problems:
        return ()
    affected = affected_by(schedule.facts)
    return tuple(
        ProblemDetail(
            kind=problem.kind,
            reason=problem.reason,
            message=problem.message,
            since=problem.since,
            newest=problem.newest,
            command=problem.command,
            affected=affected,
            slot=problem.slot,
            times=problem.times,
            remedy=found.remedy,
            job=problem.job,
        )
        for found in problems
        if (problem := found.problem).kind in SHOWN_FIRST
        and problem.since is not None
        and problem.newest is not None
    )
