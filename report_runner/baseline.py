"""The last delivered run of a schedule: what later runs compare their rows with."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from report_runner import manifest as manifests
from report_runner.contract.definition import Definition
from report_runner.delivery.ledger import LedgerEntry, LedgerState, target_key, target_of
from report_runner.environment import RunStamps
from report_runner.manifest import Manifest
from report_runner.models import RunError
from report_runner.retention import day_directories
from report_runner.storage import MANIFEST_SUFFIX, OutputPaths, schedule_prefix

MANIFESTS_READ = 200  # of the schedule's newest, where none of them was delivered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run of the schedule that was delivered."""

    paths: OutputPaths
    manifest: Manifest
    newer_begun: bool = False  # somebody has, or may have, a report of a later slot

    def described(self) -> str:
        """`the report of 2026-11-23 (slot 2026-11-23T06:00:00Z)`."""
        slot = f"{self.manifest.slot:%Y-%m-%dT%H:%M:%SZ}"
        return f"the report of {self.manifest.report_date} (slot {slot})"


def last_delivered(definition: Definition, run: RunStamps, root: Path) -> Baseline | None:
    """The newest run before this one, by report date and slot, that all its recipients got.

    A run of an older date, made today by hand or by a backfill, is older than yesterday's. Of one
    with parameters of its own the manifest has what an attempt without them found.
    """
    read, newer_begun = 0, False
    for paths, slot in _slots(definition, root, run.report_date):
        if paths.day == _day(root, run.report_date) and slot >= run.slot:
            continue
        read += 1
        if read > MANIFESTS_READ:
            logger.warning("none of the last %d runs was delivered", MANIFESTS_READ)
            return None
        try:
            found = manifests.load(paths)
        except RunError as error:
            # Compared with an older one, a change could go unnoticed: the report is sent.
            logger.warning("nothing is compared: %s", error.message)
            return None
        if found is not None and found.delivered_at is not None:
            return Baseline(paths, found, newer_begun)
        newer_begun |= found is not None and not found.parameters and is_begun(found.deliveries)
    return None


def _day(root: Path, day: date) -> Path:
    return root / f"{day:%Y/%m/%d}"


def _slots(
    definition: Definition, root: Path, until: date
) -> Iterator[tuple[OutputPaths, datetime]]:
    """The slots of the schedule that have a manifest, newest first."""
    name = re.compile(
        re.escape(schedule_prefix(definition.namespace, definition.name))
        + rf"_([0-9]{{8}}T[0-9]{{6}}Z){re.escape(MANIFEST_SUFFIX)}"
    )
    for day in reversed(day_directories(root)):
        if day > _day(root, until):
            continue
        matches = (name.fullmatch(path.name) for path in day.iterdir())
        found = {match[0]: match[1] for match in matches if match}
        for file, slot in sorted(found.items(), key=lambda pair: pair[1], reverse=True):
            paths = OutputPaths(root, day, file.removesuffix(MANIFEST_SUFFIX))
            yield paths, datetime.strptime(f"{slot[:-1]}+0000", "%Y%m%dT%H%M%S%z")


def keep_for_comparison(baseline: Baseline, now: datetime) -> None:
    """The retention of its files begins anew, so that the next run can compare as well.

    Left as it is where an attempt of it is under way, which writes the manifest itself.
    """
    paths = baseline.paths
    try:
        with manifests.idle_slot_lock(paths) as idle:
            known = manifests.load(paths) if idle else None
            if known is not None:
                manifests.save(paths, known.model_copy(update={"used_at": now}))
    except (OSError, RunError) as error:
        logger.warning("%s may be removed before the next run: %s", baseline.described(), error)


def reached_everybody(definition: Definition, deliveries: Mapping[str, LedgerEntry]) -> bool:
    """Whether each target of today's definition has got that report."""
    sent = {target_of(key) for key, entry in deliveries.items() if entry.state is LedgerState.SENT}
    wanted = {
        target_of(target_key(channel, target))
        for channel, spec in definition.delivery.channels().items()
        for target in spec.targets()
    }
    return wanted <= sent


def is_begun(deliveries: Mapping[str, LedgerEntry]) -> bool:
    """Whether somebody has, or may have, a report of the slot."""
    return any(entry.state is not LedgerState.FAILED for entry in deliveries.values())
