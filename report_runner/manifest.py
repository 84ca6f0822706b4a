"""The manifest beside each report: what went in, what came out, who got it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from report_runner.contract.files import MANIFEST_LIMIT, MIB
from report_runner.contract.model import Model
from report_runner.contract.reasons import Reason
from report_runner.contract.result import OutputFile
from report_runner.models import RunError
from report_runner.storage import MANIFEST_SUFFIX, OutputPaths, storage_errors, write_whole

LEDGER_LIMIT = 1000  # recipients of one slot, over all definitions: some 600 bytes each


class _Entry(Model):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


class Input(_Entry):
    """One source as it was read."""

    rows: int
    seconds: float
    warnings: list[str] = Field(default_factory=list)


class LedgerState(StrEnum):
    """What is known of a recipient's message."""

    # Written before the line that ends it; where it stays, the server may or may not have it.
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class LedgerEntry(_Entry):
    """One recipient of this slot, over all attempts."""

    message_id: str
    state: LedgerState
    at: datetime
    run_id: str
    answer: str = ""


class Manifest(_Entry):
    """All of one slot."""

    namespace: str
    name: str
    slot: datetime
    report_date: date
    run_id: str
    attempt: int
    # Of the definition: files are used again only where it is the same.
    definition: str
    generated_at: datetime
    pages: int | None = None
    inputs: dict[str, Input] = Field(default_factory=dict)
    outputs: list[OutputFile] = Field(default_factory=list)
    deliveries: dict[str, LedgerEntry] = Field(default_factory=dict)


@contextmanager
def slot_lock(place: OutputPaths) -> Iterator[None]:
    """One attempt of a slot at a time, also where two pods work on it.

    The lock is the file's, so it is gone with the process that held it.
    """
    path = place.day / f".{place.stem}.lock"
    with storage_errors(f"lock {place.relative(path)}"):
        stream = path.open("a")
    with stream:
        with storage_errors(f"lock {place.relative(path)}"):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def load(place: OutputPaths) -> Manifest | None:
    """The manifest of an earlier attempt, or None where there was none.

    One that cannot be read is an error: it knows who got the mail. Raises
    RunError(StorageUnavailable).
    """
    path = place.file(MANIFEST_SUFFIX)
    try:
        with storage_errors(f"manifest {place.relative(path)}"):
            if not path.exists():
                return None
            with path.open("rb") as stream:
                content = stream.read(MANIFEST_LIMIT + 1)
        if len(content) > MANIFEST_LIMIT:
            raise _damaged(place.relative(path), f"has more than {MANIFEST_LIMIT // MIB} MiB")
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _damaged(place.relative(path), "is damaged") from error


def _damaged(path: str, problem: str) -> RunError:
    return RunError(
        Reason.STORAGE_UNAVAILABLE,
        f"manifest {path} {problem}, so who got the mail is not known; "
        "remove it to have the report made and sent to everybody anew",
    )


def save(place: OutputPaths, manifest: Manifest) -> None:
    """Write it whole. Raises RunError(StorageUnavailable)."""
    if len(manifest.deliveries) > LEDGER_LIMIT:
        raise _damaged(
            place.relative(place.file(MANIFEST_SUFFIX)),
            f"has more than {LEDGER_LIMIT} recipients of all definitions of this slot",
        )
    text = manifest.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    write_whole(place, MANIFEST_SUFFIX, text.encode() + b"\n")
