"""Retention: the files of a slot are removed `output.retention` after a run made or used them.

The report date does not count: a backfill or a regeneration makes files of old dates today. The
instant is the manifest's, since a copied or restored volume has new times of its own. Slots that
were due within the retention are not looked at: a run does not read all their manifests.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from report_runner import manifest as manifests
from report_runner.models import RunError
from report_runner.storage import MANIFEST_SUFFIX, OutputPaths, schedule_prefix

logger = logging.getLogger(__name__)

_DAY = ("[0-9]{4}", "[0-9]{2}", "[0-9]{2}")
_SLOT = r"[0-9]{8}T[0-9]{6}Z"


def prune(
    root: Path,
    namespace: str,
    name: str,
    kept_since: datetime,
    now: datetime,
    keep: OutputPaths | None = None,
) -> int:
    """Remove this schedule's files that were made before `kept_since`; the number removed.

    Untouched: what has another name than a slot's files have, the slot `keep`, and a slot of which
    an attempt is under way. What cannot be removed now is left for the next run.
    """
    name_of_slot = re.compile(
        rf"\.?({re.escape(schedule_prefix(namespace, name))}_({_SLOT}))[.-].*", re.DOTALL
    )
    removed = 0
    for day in day_directories(root):
        with _left_for_later(day):
            for stem in _old_stems(day, name_of_slot, kept_since):
                paths = OutputPaths(root, day, stem)
                if keep is None or (keep.day, keep.stem) != (day, stem):
                    with _left_for_later(day / stem):
                        removed += _prune_slot(paths, kept_since, now)
            if not any(day.iterdir()):
                day.rmdir()
    return removed


def day_directories(root: Path) -> list[Path]:
    """YYYY/MM/DD, without following symbolic links out of the volume."""
    found = [root]
    for pattern in _DAY:
        found = [below for directory in found for below in _below(directory, pattern)]
    return [day for day in sorted(found) if _is_date(day.parts[-3:])]


def _below(directory: Path, pattern: str) -> list[Path]:
    found: list[Path] = []
    with _left_for_later(directory), os.scandir(directory) as scan:
        found += (
            Path(entry)
            for entry in scan
            if re.fullmatch(pattern, entry.name, re.ASCII) and entry.is_dir(follow_symlinks=False)
        )
    return found


@contextmanager
def _left_for_later(path: Path) -> Iterator[None]:
    """A run whose report is made and delivered does not fail for old files."""
    try:
        yield
    except OSError as error:
        logger.warning("old files in %s are left for the next run: %s", path, error)


def _is_date(parts: Iterable[str]) -> bool:
    try:
        date(*map(int, parts))
    except ValueError:
        return False
    return True


def _old_stems(day: Path, name_of_slot: re.Pattern[str], kept_since: datetime) -> list[str]:
    """Of the slots that were due before `kept_since`."""
    matches = (name_of_slot.fullmatch(path.name) for path in day.iterdir())
    slots = {match[1]: match[2] for match in matches if match}
    threshold = f"{kept_since.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return sorted(stem for stem, slot in slots.items() if slot < threshold)


def _prune_slot(paths: OutputPaths, kept_since: datetime, now: datetime) -> int:
    """Remove the files of one slot where they are old enough, the manifest after all outputs.

    A run that is killed in between leaves the manifest, by which the next one goes on.
    """
    with manifests.idle_slot_lock(paths) as idle:
        if not idle:
            return 0
        last = (paths.file(MANIFEST_SUFFIX), manifests.lock_path(paths))
        # A file of one source has its name behind a dash.
        names = tuple(f"{dot}{paths.stem}{end}" for dot in ("", ".") for end in ".-")
        found = [path for path in paths.day.iterdir() if path.name.startswith(names)]
        made_at = _made_at(paths, [path for path in found if path != last[1]], now)
        if made_at is not None and made_at >= kept_since:
            return 0
        for path in sorted(found, key=lambda path: last.index(path) + 1 if path in last else 0):
            path.unlink()
        return len(found) - 1


def _made_at(paths: OutputPaths, files: Iterable[Path], now: datetime) -> datetime | None:
    """By the manifest; by the newest file where no manifest says it. None: there is no file.

    An instant that is still to come says nothing: a clock was wrong.
    """
    try:
        manifest = manifests.load(paths)
        at = manifest and (manifest.used_at or manifest.generated_at)
        if at and at <= now:
            return at
    except (RunError, TypeError) as error:  # damaged, or an instant without a zone
        logger.warning("%s", error)
    times = [path.lstat().st_mtime for path in files]
    return datetime.fromtimestamp(max(times), UTC) if times else None
