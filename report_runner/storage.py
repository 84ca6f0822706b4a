"""The report volume: files appear whole or not at all, and go when their time is over."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from report_runner.contract.files import TEMPORARY_SUFFIX
from report_runner.contract.reasons import Reason
from report_runner.models import RunError

STEM_LIMIT = 200  # bytes; a file name may have 255, and suffixes follow
MANIFEST_SUFFIX = ".manifest.json"

_REMEDIES = {
    errno.ENOSPC: "the volume is full: free space or enlarge it",
    errno.EDQUOT: "the volume's quota is used up: free space or raise it",
    errno.EROFS: "the volume is read-only",
    errno.EACCES: "user 65532 may not write there: set the volume's fsGroup or permissions",
    errno.EPERM: "user 65532 may not write there: set the volume's fsGroup or permissions",
    errno.EIO: "the volume has an I/O error",
    errno.ESTALE: "the volume is gone (stale handle)",
    errno.ENOENT: "the volume is not mounted",
}


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where the files of one slot are."""

    root: Path  # of the volume
    day: Path
    stem: str

    def file(self, suffix: str) -> Path:
        """A file of the slot, e.g. `.pdf`."""
        return self.day / f"{self.stem}{suffix}"

    def relative(self, path: Path) -> str:
        """A path as results and manifests write it."""
        return str(path.relative_to(self.root))


def output_paths(
    root: Path, namespace: str, name: str, slot: datetime, report_date: date
) -> OutputPaths:
    """The directory of the report date, and file names that tell schedule and slot."""
    return OutputPaths(
        root=root,
        day=root / f"{report_date:%Y/%m/%d}",
        stem=f"{schedule_prefix(namespace, name)}_{slot:%Y%m%dT%H%M%SZ}",
    )


def schedule_prefix(namespace: str, name: str) -> str:
    """What the names of all files of a schedule begin with; '_' occurs in neither part."""
    prefix = f"{namespace}_{name}"
    limit = STEM_LIMIT - len("_20260101T000000Z")
    if len(prefix) <= limit:
        return prefix
    digest = hashlib.sha256(prefix.encode()).hexdigest()[:12]
    return f"{prefix[: limit - 13]}-{digest}"


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """OSError inside becomes RunError(StorageUnavailable) with a remedy."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        remedy = _REMEDIES.get(code, error.strerror or str(error))
        raise RunError(
            Reason.STORAGE_UNAVAILABLE, f"{what}: {remedy} ({errno.errorcode.get(code, code)})"
        ) from error


def used_percent(root: Path) -> int | None:
    """How full the volume is, rounded up as `df` does it; None where that cannot be told."""
    try:
        volume = os.statvfs(root)
    except OSError:
        return None
    used = volume.f_blocks - volume.f_bfree
    usable = used + volume.f_bavail  # what is reserved for root is of no use to a run
    return -(-100 * used // usable) if usable else None


def prepare(place: OutputPaths) -> None:
    """Make the day's directory."""
    with storage_errors(f"report directory {place.day}"):
        place.day.mkdir(parents=True, exist_ok=True)


def remove_stale(place: OutputPaths) -> None:
    """Remove what a killed attempt of this slot left half done; only under the slot's lock."""
    with storage_errors(f"report directory {place.day}"):
        for leftover in place.day.glob(f".{place.stem}*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)


def temporary(place: OutputPaths, suffix: str) -> Path:
    """A name beside the final one under which a file is written first."""
    return place.day / f".{place.stem}{suffix}{TEMPORARY_SUFFIX}"


def write_whole(place: OutputPaths, suffix: str, content: bytes) -> Path:
    """Write a file so that no reader ever sees a part of it."""
    return _write(place, suffix, lambda stream: stream.write(content))


def store_file(place: OutputPaths, source: Path, suffix: str) -> Path:
    """Take a finished file from the scratch directory onto the volume."""
    with source.open("rb") as content:
        return _write(place, suffix, lambda stream: shutil.copyfileobj(content, stream, 1 << 20))


def _write(place: OutputPaths, suffix: str, fill: Callable[[BinaryIO], object]) -> Path:
    target, draft = place.file(suffix), temporary(place, suffix)
    with storage_errors(f"report file {place.relative(target)}"):
        try:
            with draft.open("wb") as stream:
                fill(stream)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(target)
            _sync_directory(place.day)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return target


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Checksum of a file's content, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def prune(
    root: Path, namespace: str, name: str, oldest: date, keep: OutputPaths | None = None
) -> int:
    """Remove this schedule's files of report dates before `oldest`; how many files went.

    Only names that begin with the schedule's prefix are touched, and not those of the slot
    `keep`; what cannot be removed now is left for the next run.
    """
    prefix = schedule_prefix(namespace, name) + "_"
    removed = 0
    for day in sorted(root.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]")):
        try:
            when = date(*(int(part) for part in day.parts[-3:]))
        except ValueError:
            continue
        if when >= oldest:
            continue
        try:
            for path in day.iterdir():
                stem = path.name.lstrip(".")
                if stem.startswith(prefix) and not (keep and stem.startswith(keep.stem)):
                    path.unlink(missing_ok=True)
                    removed += 1
            if not any(day.iterdir()):
                day.rmdir()
        except OSError:
            continue
    return removed
