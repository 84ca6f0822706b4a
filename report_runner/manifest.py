"""The manifest beside each report: its sources, its files, its deliveries."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from pydantic import Field, ValidationError

from report_runner.contract.checks import Severity
from report_runner.contract.files import MANIFEST_LIMIT, MIB
from report_runner.contract.model import Model
from report_runner.contract.reasons import Reason
from report_runner.contract.result import OutputFile
from report_runner.delivery.ledger import LedgerEntry
from report_runner.models import RunError
from report_runner.storage import MANIFEST_SUFFIX, OutputPaths, storage_errors, write_whole

LOCK_TRIES = 100
LEDGER_LIMIT = 1000  # recipients of one slot, over all definitions: some 600 bytes each


RESENDS_KEPT = 100


class Resent(Model, extra="ignore"):
    """A request to send the report again to those who have it."""

    run_id: str
    at: datetime
    to: str  # as in report_runner.contract.resend


# Fields of later versions are ignored: an older runner may read the manifest after a rollback.
class Input(Model, extra="ignore"):
    """One source as it was read."""

    rows: int
    seconds: float
    # When an earlier run fetched them; None where this one did.
    cached_at: datetime | None = None
    warnings: list[str] = Field(default_factory=list)


class CheckRecord(Model, extra="ignore"):
    """One check of the rows."""

    name: str
    severity: Severity
    passed: bool
    message: str


class Manifest(Model, extra="ignore"):
    """The record of one slot."""

    namespace: str
    name: str
    slot: datetime
    report_date: date
    run_id: str
    attempt: int
    # Digest of the definition: files are reused only where it is the same.
    definition: str
    generated_at: datetime
    # By the newest attempt that took the files as they were; None where none did.
    used_at: datetime | None = None
    pages: int | None = None
    # Of the mail, rendered with the rows: an attempt that reuses the files sends the same.
    subject: str | None = None
    not_ready: str | None = None  # of data that were not ready, and are used all the same
    inputs: dict[str, Input] = Field(default_factory=dict)
    outputs: list[OutputFile] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)  # what a reader of the files has to know
    deliveries: dict[str, LedgerEntry] = Field(default_factory=dict)
    # That the run was asked for with. The files have them; what later runs compare with, below, is
    # of the newest attempt without any.
    parameters: dict[str, Any] = Field(default_factory=dict)
    # Whose days off filters of business days knew, with the version of what knows them.
    calendar: str | None = None
    checks: list[CheckRecord] = Field(default_factory=list)
    # What later runs compare with: sums and numbers of rows, digests of rows by source.
    figures: dict[str, str] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    delivered_at: datetime | None = None  # when all that the definition wants was done

    resend: str = ""  # what the run that made the files was asked to send again
    resends: list[Resent] = Field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """The messages of checks that did not pass."""
        return [check.message for check in self.checks if not check.passed]

    @property
    def edition(self) -> str:
        """The run that made what is sent now, where it replaces what was sent before."""
        return self.resends[-1].run_id if self.resends else ""


@contextmanager
def slot_lock(paths: OutputPaths) -> Iterator[None]:
    """Only one attempt of a slot works at a time, also where two pods run.

    The kernel releases the lock when the process ends. Makes the directory where it is missing.
    """
    with storage_errors(f"lock {paths.relative(lock_path(paths))}"):
        stream = _locked(paths, fcntl.LOCK_EX)
    with stream:
        yield


@contextmanager
def idle_slot_lock(paths: OutputPaths) -> Iterator[bool]:
    """The slot's lock, or False where an attempt of the slot is under way. Raises OSError."""
    try:
        stream = _locked(paths, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    with stream:
        yield True


def lock_path(paths: OutputPaths) -> Path:
    return paths.day / f".{paths.stem}.lock"


def _locked(paths: OutputPaths, operation: int) -> TextIO:
    """Pruning removes lock files too: a lock counts only on the file that has the name."""
    path = lock_path(paths)
    for _ in range(LOCK_TRIES):
        paths.day.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # the directory was removed in between
            stream = path.open("a")
            try:
                fcntl.flock(stream, operation)
                if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                    return stream
            except BaseException:
                stream.close()
                raise
            stream.close()
    raise OSError(errno.ESTALE, f"the lock file is replaced again and again: {path}")


def load(paths: OutputPaths) -> Manifest | None:
    """The manifest of an earlier attempt, or None where there was none.

    Raises RunError(StorageUnavailable) also where it cannot be read: without it the recipients
    would get the report again.
    """
    path = paths.file(MANIFEST_SUFFIX)
    try:
        with storage_errors(f"manifest {paths.relative(path)}"):
            if not path.exists():
                return None
            with path.open("rb") as stream:
                content = stream.read(MANIFEST_LIMIT + 1)
        if len(content) > MANIFEST_LIMIT:
            raise _damaged(paths.relative(path), f"has more than {MANIFEST_LIMIT // MIB} MiB")
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _damaged(paths.relative(path), "is damaged") from error


def _damaged(path: str, problem: str) -> RunError:
    return RunError(
        Reason.STORAGE_UNAVAILABLE,
        f"manifest {path} {problem}, so who got the mail is not known; "
        "remove it to have the report made and sent to everybody anew",
    )


def save(paths: OutputPaths, manifest: Manifest) -> None:
    """Raises RunError(StorageUnavailable)."""
    if len(manifest.deliveries) > LEDGER_LIMIT:
        raise _damaged(
            paths.relative(paths.file(MANIFEST_SUFFIX)),
            f"has more than {LEDGER_LIMIT} recipients of all definitions of this slot",
        )
    text = manifest.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    write_whole(paths, MANIFEST_SUFFIX, text.encode() + b"\n")
