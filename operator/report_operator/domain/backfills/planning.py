"""The slots of a ReportBackfill, and which of them get a run next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec, Reprocess
from report_operator.api.v1alpha1.backfill_status import BackfillRun, Cursor
from report_operator.api.v1alpha1.conditions import BackfillReason
from report_operator.domain import names
from report_operator.domain.cron.schedule import latest_beat, slots_between
from report_operator.domain.runs.attempts import days_span
from report_operator.domain.runs.history import SlotPast
from report_operator.domain.schedules.catch_up import CREATION_GRACE
from report_operator.domain.schedules.plan import Plan, observe_plan
from report_operator.domain.times import parse_time
from report_runner.contract.result import Outcome

SLOT_LIMIT = 10_000  # slots of one backfill
NAMED = 5  # schedules in one message

Past = Mapping[tuple[str, datetime], SlotPast]  # by uid of the schedule, and slot


class HeldUpError(Exception):
    """No run can be decided on; the message says what a person may do about it."""

    def __init__(self, reason: BackfillReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ReportSchedule of the namespace as the API server has it, and its CronJob, if any."""

    name: str
    body: Mapping[str, Any]
    cronjob: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class BackfillTarget:
    """A schedule that is part of a backfill."""

    name: str
    uid: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Slot:
    instant: datetime
    schedule: str
    schedule_uid: str
    report_date: date
    left_out: bool = False  # by the calendar of its schedule

    @property
    def cursor(self) -> Cursor:
        """Its place in the order."""
        return Cursor(slot=self.instant, schedule=self.schedule)


@dataclass(frozen=True, slots=True)
class Choice:
    """Decisions on the first slots: runs to make, slots that need none, and how far they go."""

    runs: tuple[BackfillRun, ...]
    skipped: int
    decided: int  # slots, from the first on


def targets_of(
    namespace: str, spec: ReportBackfillSpec, candidates: Iterable[Candidate], started: datetime
) -> tuple[BackfillTarget, ...]:
    """The schedules that are part of it, by name: those that existed when it began.

    Raises HeldUpError where there is none, or where one has no CronJob to make runs from.
    """
    found: list[BackfillTarget] = []
    not_ready: list[str] = []
    for candidate in candidates:
        meta = candidate.body["metadata"]
        if not spec.selects(candidate.name, candidate.body["spec"], meta.get("labels") or {}):
            continue
        created = parse_time(meta["creationTimestamp"])
        if created is not None and created > started:
            continue
        plan = observe_plan(candidate.cronjob) if candidate.cronjob else None
        if plan is None:
            not_ready.append(candidate.name)
        else:
            found.append(BackfillTarget(candidate.name, meta["uid"], plan))
    if not_ready:
        first = min(not_ready)
        more = f" and {len(not_ready) - NAMED} more" if len(not_ready) > NAMED else ""
        raise HeldUpError(
            BackfillReason.SCHEDULE_NOT_READY,
            f"no run can be made of {', '.join(sorted(not_ready)[:NAMED])}{more}: see why it is "
            f"not Ready (kubectl -n {namespace} describe reportschedule {first}), or ask for the "
            "others by name",
        )
    if not found:
        raise HeldUpError(
            BackfillReason.NO_SCHEDULE,
            "no ReportSchedule of this namespace is meant: "
            f"kubectl -n {namespace} get reportschedules -o wide shows types and tiers",
        )
    return tuple(sorted(found, key=lambda target: target.name))


def slots_of_dates(
    plan: Plan, first: date, last: date, until: datetime, limit: int
) -> Sequence[datetime]:
    """The slots of a schedule from the day `first` to the day `last` in its zone.

    None is later than `until`; there are at most `limit`, the oldest ones.
    """
    begin, end = days_span(plan.zone, first, last)
    before = begin - timedelta(seconds=1)
    # @every keeps the beat that it has, also for times before it began.
    start = latest_beat(plan.schedule, plan.since, before) or before
    return slots_between(plan.schedule, plan.zone, start, min(end, until), limit).slots


def all_slots(
    targets: Iterable[BackfillTarget], spec: ReportBackfillSpec, started: datetime
) -> tuple[Slot, ...]:
    """Every slot of a backfill, in the order in which they are worked off.

    The newest slots are the CronJob controller's until it has had its time. Raises HeldUpError
    where there are too many.
    """
    found: list[Slot] = []
    for target in targets:
        instants = slots_of_dates(
            target.plan, spec.start_date, spec.end_date, started - CREATION_GRACE, SLOT_LIMIT + 1
        )
        found += [
            Slot(
                instant,
                target.name,
                target.uid,
                instant.astimezone(target.plan.zone).date(),
                target.plan.verdict(instant).skipped,
            )
            for instant in instants
        ]
        if len(found) > SLOT_LIMIT:
            raise HeldUpError(
                BackfillReason.TOO_MANY_SLOTS,
                f"the dates have more than {SLOT_LIMIT} slots: delete this backfill and ask for "
                "fewer days or schedules at a time",
            )
    return tuple(sorted(found, key=_order))


def _order(slot: Slot) -> tuple[datetime, str]:
    return slot.instant, slot.schedule


def after(slots: Sequence[Slot], cursor: Cursor | None) -> Sequence[Slot]:
    """The slots that are not decided on yet."""
    if cursor is None:
        return slots
    return slots[bisect_right(slots, (cursor.slot, cursor.schedule), key=_order) :]


def choose(slots: Iterable[Slot], past: Past, reprocess: Reprocess, places: int) -> Choice:
    """Decide slot by slot until `places` runs are found, or there are no more slots."""
    runs: list[BackfillRun] = []
    skipped = 0
    for slot in slots:
        if len(runs) >= places:
            break
        known = past.get((slot.schedule_uid, slot.instant))
        if _needs_run(known, reprocess, left_out=slot.left_out):
            runs.append(_run(slot, known.newest.attempt + 1 if known else 1))
        else:
            skipped += 1
    return Choice(tuple(runs), skipped, len(runs) + skipped)


def _needs_run(known: SlotPast | None, reprocess: Reprocess, *, left_out: bool = False) -> bool:
    """`left_out`: by the calendar; who asks for every slot gets that one too."""
    if known is not None and known.under_way:
        return False
    if known is None and left_out and reprocess is not Reprocess.ALL:
        return False
    match reprocess:
        case Reprocess.ALL:
            return True
        case Reprocess.MISSING:
            return known is None or not (known.succeeded or known.newest.outcome is Outcome.SKIPPED)
        case Reprocess.FAILED:
            return (
                known is not None and not known.succeeded and known.newest.outcome is Outcome.FAILED
            )


def _run(slot: Slot, attempt: int) -> BackfillRun:
    cronjob = names.cronjob_name(slot.schedule)
    return BackfillRun(
        job=names.attempt_job_name(cronjob, slot.instant, attempt),
        schedule=slot.schedule,
        schedule_uid=slot.schedule_uid,
        slot=slot.instant,
        report_date=slot.report_date,
        attempt=attempt,
    )


def spans(slots: Iterable[Slot]) -> Iterator[tuple[str, str, datetime, datetime]]:
    """For each schedule among the slots: uid, name, and its first and last slot there."""
    found: dict[str, tuple[str, datetime, datetime]] = {}
    for slot in slots:
        _, first, _ = found.get(slot.schedule_uid, (slot.schedule, slot.instant, slot.instant))
        found[slot.schedule_uid] = slot.schedule, first, slot.instant
    for uid, (name, first, last) in found.items():
        yield uid, name, first, last
