"""What is to be done about one ReportBackfill, decided from one frozen observation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from report_operator.api.v1alpha1.backfill_spec import ReportBackfillSpec
from report_operator.api.v1alpha1.backfill_status import WOULD_RUN_LIMIT, ReportBackfillStatus
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.backfills.planning import HeldUpError, Past, Slot, choose
from report_operator.domain.backfills.status import BackfillProgress, conclude, settle


@dataclass(frozen=True, slots=True)
class BackfillObservation:
    """`spec` is None where it is invalid or the backfill is over."""

    now: datetime
    generation: int
    previous: ReportBackfillStatus
    outcomes: Mapping[str, RecentRun]  # of the schedules in flight, by Job name
    schedules: Collection[str]  # uids of those of them that exist
    spec: ReportBackfillSpec | None = None
    held_up: HeldUpError | None = None
    slots: Sequence[Slot] | None = None  # not decided on yet; None: they cannot be computed
    looked_up: int = 0  # of these, from the first on, `past` is complete
    past: Past = field(default_factory=dict)


def decide(observation: BackfillObservation) -> ReportBackfillStatus:
    """The status to write; it names the runs whose Jobs are to be made."""
    spec, slots = observation.spec, observation.slots
    status = settle(observation.previous, observation.outcomes, observation.schedules)
    left: int | None = None
    if spec is not None and slots is not None:
        status = status.model_copy(update={"start_time": status.start_time or observation.now})
        left = len(slots)
        if observation.held_up is None:
            status, decided = _advance(spec, status, slots, observation)
            left -= decided
    progress = BackfillProgress(
        generation=observation.generation,
        suspended=spec is not None and spec.suspend,
        dry_run=spec is not None and spec.dry_run,
        left=left,
        held_up=observation.held_up,
        last_date=spec.end_date if spec is not None else None,
    )
    return conclude(status, progress, observation.now)


def free_places(
    spec: ReportBackfillSpec, status: ReportBackfillStatus, slots: Sequence[Slot]
) -> int:
    """How many further runs may be chosen; a dry run chooses all at once."""
    if spec.suspend:
        return 0
    return len(slots) if spec.dry_run else spec.max_concurrent - len(status.in_flight)


def _advance(
    spec: ReportBackfillSpec,
    status: ReportBackfillStatus,
    slots: Sequence[Slot],
    observation: BackfillObservation,
) -> tuple[ReportBackfillStatus, int]:
    """Decides on slots while there are places; the status, and how many were decided on."""
    known = slots[: observation.looked_up]
    places = free_places(spec, status, slots)
    choice = choose(known, observation.past, spec.reprocess, places)
    update: dict[str, Any] = {"skipped": status.skipped + choice.skipped}
    if choice.decided:
        update["cursor"] = slots[choice.decided - 1].cursor
    if not spec.dry_run:
        update["in_flight"] = [*status.in_flight, *choice.runs]
    elif not spec.suspend:
        update["would_run"] = list(choice.runs[:WOULD_RUN_LIMIT])
        update["would_run_count"] = len(choice.runs)
    return status.model_copy(update=update), choice.decided
