"""The report volume: files appear whole or not at all, and are removed after their retention."""

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
    """The paths of one slot's files."""

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
    """The directory is the report date's; file names have schedule and slot in them."""
    return OutputPaths(
        root=root,
        day=root / f"{report_date:%Y/%m/%d}",
        stem=f"{schedule_prefix(namespace, name)}_{slot:%Y%m%dT%H%M%SZ}",
    )


def schedule_prefix(namespace: str, name: str) -> str:
    """The beginning of the names of a schedule's files; neither part can contain '_'."""
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
    """Percent of the volume in use, rounded up as `df` does; None where it is not known."""
    try:
        volume = os.statvfs(root)
    except OSError:
        return None
    used = volume.f_blocks - volume.f_bfree
    usable = used + volume.f_bavail  # a run cannot use the blocks reserved for root
    return -(-100 * used // usable) if usable else None


def prepare(paths: OutputPaths) -> None:
    with storage_errors(f"report directory {paths.day}"):
        paths.day.mkdir(parents=True, exist_ok=True)


def remove_stale(paths: OutputPaths) -> None:
    """Remove the temporary files of a killed attempt of this slot; needs the slot's lock."""
    with storage_errors(f"report directory {paths.day}"):
        for leftover in paths.day.glob(f".{paths.stem}*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)


def temporary(paths: OutputPaths, suffix: str) -> Path:
    """The path under which a file is written before it is renamed."""
    return paths.day / f".{paths.stem}{suffix}{TEMPORARY_SUFFIX}"


def write_whole(paths: OutputPaths, suffix: str, content: bytes) -> Path:
    """Write a file atomically: no reader sees a part of it."""
    return _write(paths, suffix, lambda stream: stream.write(content))


def store_file(paths: OutputPaths, source: Path, suffix: str) -> Path:
    """Copy a finished file from the scratch directory onto the volume, atomically."""
    with source.open("rb") as content:
        return _write(paths, suffix, lambda stream: shutil.copyfileobj(content, stream, 1 << 20))


def _write(paths: OutputPaths, suffix: str, fill: Callable[[BinaryIO], object]) -> Path:
    target, draft = paths.file(suffix), temporary(paths, suffix)
    with storage_errors(f"report file {paths.relative(target)}"):
        try:
            with draft.open("wb") as stream:
                fill(stream)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(target)
            _sync_directory(paths.day)
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
    """Hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
