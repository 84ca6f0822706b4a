"""The note beside files that hold data alone: what a reader has to know of them.

A CSV, a workbook, JSON or Parquet can hold no mark without being other data for whoever reads them
by a program. So a file of text goes with them, on the volume and to each place that gets no
document with the mark, and it goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from report_runner import storage
from report_runner.contract.report import Format
from report_runner.storage import OutputPaths

SUFFIX = ".warnings.txt"
MEDIA_TYPE = "text/plain; charset=utf-8"
MARKED = (Format.PDF, Format.HTML)  # have the warnings on their first page


def write_note(
    paths: OutputPaths, about: str, generated_at: datetime, warnings: Sequence[str]
) -> Path | None:
    """The note on the volume; None where there is nothing to say, and never was of this slot.

    Raises RunError.
    """
    target = paths.file(SUFFIX)
    # Whoever has the note of an attempt before is told that it is over.
    if not warnings and not target.exists():
        return None
    text = note_text(about, generated_at, warnings).encode()
    if not target.exists() or target.read_bytes() != text:
        storage.write_whole(paths, SUFFIX, text)
    return target


def note_text(about: str, generated_at: datetime, warnings: Sequence[str]) -> str:
    """Of the files that were made then: an attempt that uses them again has the same note."""
    made = f"{about}, made at {generated_at.isoformat()}"
    if not warnings:
        return f"{made}: nothing to warn of. A note from before is about other files.\n"
    lines = "".join(f"- {' '.join(warning.split())}\n" for warning in warnings)
    return f"{made}. The data in the files beside this note are to be read with care:\n{lines}"


def ending_of(note: Path) -> str:
    """Of its name at a place, by its content: another attempt's note neither passes for this one,
    nor is it in its way.
    """
    return f".warnings-{storage.sha256(note)[:8]}.txt"


def needs_note(formats: Sequence[Format]) -> bool:
    """Whether none of these files has the warnings in it."""
    return not any(one in MARKED for one in formats)
